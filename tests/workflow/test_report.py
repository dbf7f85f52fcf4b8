"""The report survives any text in a study: nothing of it becomes markup."""

import json
from html.parser import HTMLParser
from types import SimpleNamespace

import jinja2
import pytest
from docutils.core import publish_parts
from workspace import CHECKOUT, changed

from itscale.messages.printable import without_tags
from itscale.planning.plan import make_plan
from itscale.stages.declared import STAGES
from itscale.store.restructured import side_by_side
from itscale.study import resolve

EVIL = "</script><script>document.title = 'owned'</script><!--<img src=x onerror=owned()>"


class Parsed(HTMLParser):
    """What a browser makes of a page: scripts by their content, and the names of all elements."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.scripts, self.elements, self._open = [], [], False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self._open = tag == "script"
        if self._open:
            self.scripts.append("")

    def handle_endtag(self, tag):
        self._open = False

    def handle_data(self, data):
        if self._open:
            self.scripts[-1] += data


@pytest.mark.parametrize("text", [EVIL, "a < b <3 x<y", "<!DOCTYPE html>", "<SCRIPT>", "<?php"])
def test_no_parser_sees_a_tag_and_a_reader_sees_the_text(text):
    shown = without_tags({text: [text, 1, None]})
    page = Parsed(f"<p>{json.dumps(shown, ensure_ascii=False)}</p>")
    assert page.elements == ["p"]
    assert json.dumps(shown, ensure_ascii=False).replace("\u200b", "") == json.dumps({text: [text, 1, None]})


def test_what_the_report_shows_of_a_job_holds_no_tag(workspace, monkeypatch):
    monkeypatch.chdir(workspace.folder)
    study = changed("tasks.sums.system", EVIL)
    plan = make_plan(resolve(study), workspace.folder / "results/tiny")
    wildcards = SimpleNamespace(figure="law_fits")
    reported = [stage.name for stage in STAGES if stage.reports]
    assert "figures" in reported
    for stage in reported:
        assert "<s" not in json.dumps(plan.depends(stage, wildcards))
        assert "</" not in json.dumps(plan.depends(stage, wildcards))


def test_the_report_begins_with_the_numbers_of_the_summary(tmp_path):
    """Not with a picture of the rules: Snakemake renders this text with the files of the report."""
    text = CHECKOUT.joinpath("workflow/report/workflow.rst").read_text()
    (tmp_path / "summary.rst").write_text(side_by_side([{"task": "sums", "pass@1": "42.0 % [31.2, 55.0]"}]))
    record = SimpleNamespace(path=tmp_path / "summary.csv")
    figure = SimpleNamespace(path=tmp_path / "tables/summary.csv")  # of a figure that is called so
    shown = jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(text)
    rendered = shown.render(
        snakemake=SimpleNamespace(config={"study": "s"}),
        categories={"Tables": {"": [figure, record]}},
        files=[],
    )
    body = publish_parts(rendered, writer="html", settings_overrides={"halt_level": 2})["body"]
    assert body.index("42.0 % [31.2, 55.0]") < body.index("exact bounds")


@pytest.mark.slow
def test_the_report_of_a_study_with_such_text_is_the_page_it_would_be_without(finished, workspace):
    lines = workspace.folder.joinpath("problems.jsonl").read_text().splitlines()
    rows = [json.loads(line) | {"prompt": f"{EVIL} {at}"} for at, line in enumerate(lines)]
    workspace.folder.joinpath("problems.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    workspace.write(changed("tasks.sums.system", EVIL))
    done = workspace.itscale("run", "study.yaml", "--cores", "2")
    assert done.returncode == 0, done.stderr
    report = finished.snakemake(
        "--configfile", "study.yaml", "--report", str(workspace.folder / "plain.html")
    )
    assert report.returncode == 0, report.stderr
    ours, plain = (
        Parsed((workspace.folder / name).read_text()) for name in ("reports/tiny/report.html", "plain.html")
    )
    assert ours.elements == plain.elements
    assert not any(script.startswith("document.title") for script in ours.scripts)
    assert any("document.title = 'owned'" in script for script in ours.scripts)  # shown as what it is: text
