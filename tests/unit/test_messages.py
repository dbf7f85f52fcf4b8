"""Whatever a message holds, a terminal shows it and does not obey it."""

import io
import unicodedata

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from itscale.cli import app
from itscale.cli.console import LiteralConsole
from itscale.messages.printable import PrintableStream, one_line, printable, spelt_out
from itscale.store.parquet import write_csv


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]52;c;aGk=\x1b\\after", "after"),
        ("\x9b2Jgone", "gone"),
        ("a\x07b\x08c", "a\\x07b\\x08c"),
        ("ha\rno", "ha\nno"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("file\udcff.csv", "file\\udcff.csv"),
        ("tab\tand\nline", "tab\tand\nline"),
        ("Größe ∑ 漢字 👍", "Größe ∑ 漢字 👍"),
    ],
)
def test_sequences_go_and_other_control_characters_are_spelt_out(text, shown):
    assert printable(text) == shown


@given(st.text())
def test_nothing_that_a_terminal_obeys_is_left(text):
    shown = printable(text)
    assert not any(unicodedata.category(one) in ("Cc", "Cs") for one in shown if one not in "\t\n")
    shown.encode()  # no half of a surrogate, either
    assert len(one_line(text).splitlines()) <= 1


@given(st.text() | st.text(alphabet="\\x0u1b\x1b\u202e"), st.text(alphabet="\\x0u1b\x1b\u202e"))
def test_texts_in_a_csv_can_be_told_apart(one, another):
    shown = spelt_out(one)
    assert not any(unicodedata.category(letter) in ("Cc", "Cs") for letter in shown if letter not in "\t\n")
    assert shown == one or "\\" in shown
    assert one == another or spelt_out(another) != shown


def test_a_csv_joins_with_the_ids_of_its_task(tmp_path):
    ids = ["\x1b[31mX\x07", "X\x07", "X\\x07", "\\frac", "a,b", "two\nlines", "\u202eX"]
    path = tmp_path / "failures.csv"
    write_csv(pl.DataFrame({"problem_id": ids}), path)
    found = pl.read_csv(path)["problem_id"].to_list()
    assert found[0] == "\\x1b[31mX\\x07"
    assert found[3:6] == ["\\frac", "a,b", "two\nlines"]
    assert len(set(found)) == len(ids)
    read = [one.encode().decode("unicode_escape") if "\\x" in one or "\\u" in one else one for one in found]
    assert read == ids


def test_a_message_without_end_is_cut():
    assert len(one_line("x" * 10**7)) < 5000


def test_a_console_shows_texts_as_they_are():
    out = io.StringIO()
    LiteralConsole(file=out, force_terminal=True, color_system=None).print("run[1] [red]x[/] :smile: \x1b[2J")
    assert out.getvalue().rstrip() == "run[1] [red]x[/] :smile:"


def test_a_stream_of_a_job_is_printable():
    out = io.StringIO()
    print("\x1b[31mred", file=PrintableStream(out))
    assert out.getvalue() == "red\n"


def test_an_error_of_the_cli_is_one_printable_line(tmp_path):
    done = CliRunner().invoke(app, ["check", str(tmp_path / "no\x1b[31m\nsuch.yaml")])
    assert done.exit_code == 1
    assert len(done.stderr.splitlines()) == 1
    assert "\x1b" not in done.stderr
    assert "no such.yaml: no such study" in done.stderr
