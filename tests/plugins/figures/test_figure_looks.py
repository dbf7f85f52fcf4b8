"""Figures of degenerate tables; looks, labels, ticks and plain text."""

import re
import subprocess
import sys

import polars as pl
import pytest
from figure_tables import ENTRIES, NAMES, curve, draw, fit, only, study_tables, words

from itscale.plugins.figures import FigureData, assign_marks, plain
from itscale.store.latex import booktabs, escape
from itscale.store.schemas import CURVES
from itscale.testing.figures import small_study
from itscale_builtin.figures import (
    _panels,
    compute_curves,
    coverage_curves,
    difference_curves,
    selection_curves,
)
from itscale_builtin.figures._curves import selector_lines


def nothing():
    return only(pl.DataFrame(schema=CURVES))


# --- degenerate tables -------------------------------------------------------------------------------------


NAN = float("nan")
DEGENERATE = {
    "one point": curve(budgets=(1,)),
    "all zero": curve(share=0.0),
    "no intervals": curve().with_columns(low=pl.lit(NAN), high=pl.lit(None, pl.Float64)),
    "estimate missing": curve().with_columns(estimate=pl.lit(NAN)),
    "narrow": curve(budgets=(3, 4)),
    "far": curve(budgets=(1, 10**9)),
    "one problem": curve().with_columns(problems=pl.lit(1, pl.Int64)),
    "long labels": pl.concat(
        [curve(model="m" * 90 + x, strategy="a_long_name_" * 12 + x, task="t" * 80) for x in "ab"]
    ),
    "formulas": curve(task=r"$\frac{", model="$x$", strategy="_hidden & 100%\n\x00<b>"),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("entry", ENTRIES, ids=NAMES)
@pytest.mark.parametrize("case", DEGENERATE)
def test_degenerate_curves_are_drawn_without_a_warning(entry, case):
    curves = DEGENERATE[case]
    key = curves.select("task", "model", "strategy").row(0, named=True)
    data = FigureData(
        curves=curves, fits=fit(status="failed", message="$ why", **key), forecasts=nothing().forecasts
    )
    shown = words(draw(entry, data))
    assert "completions per problem, k" in shown or "generated tokens per problem" in shown


@pytest.mark.parametrize("entry", ENTRIES, ids=NAMES)
def test_without_rows_the_figure_says_so_and_the_table_has_its_columns(tmp_path, entry):
    assert words(draw(entry, nothing(), tmp_path)).count("in this study") == 1
    assert {"task", "estimate", "simulated"} <= set(pl.read_csv(tmp_path / "figure.csv").columns)


def test_panels_keep_their_height_under_long_titles_and_legends():
    heights = []
    for curves in (pl.concat([curve(), curve(task="b")]), DEGENERATE["long labels"]):
        figure = draw(selection_curves.entry, only(curves)).figure
        figure.draw_without_rendering()
        heights.append(figure.axes[0].get_position().height * figure.get_figheight())
    assert heights[1] == pytest.approx(heights[0], rel=0.1)


@pytest.mark.parametrize("entry", ENTRIES, ids=NAMES)
def test_legend_covers_no_panel(entry):
    figure = draw(entry, study_tables()).figure
    figure.draw_without_rendering()
    for legend in figure.legends:
        box = legend.get_window_extent()
        assert not any(box.overlaps(axes.get_tightbbox()) for axes in figure.axes)
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.x1


# --- looks, labels, ticks ----------------------------------------------------------------------------------


def test_a_label_looks_the_same_in_every_figure():
    data = study_tables()
    looks = {}
    for entry in (coverage_curves.entry, compute_curves.entry):
        (legend,) = draw(entry, data).figure.legends
        for text, handle in zip(legend.get_texts(), legend.legend_handles, strict=True):
            looks.setdefault(text.get_text(), set()).add((handle.get_color(), handle.get_marker()))
    assert set(looks) == {"beam_search", "repeated_sampling"}
    assert all(len(found) == 1 for found in looks.values())


def test_no_two_of_forty_labels_look_alike():
    marks = assign_marks(f"label_{number}" for number in range(40))
    assert len({(mark.colour, mark.marker) for mark in marks.values()}) == 40
    # a colour that returns has another dash: seven markers alone are hard to tell apart on a thin line
    assert len({(mark.colour, str(mark.dash)) for mark in list(marks.values())[:36]}) == 36


def test_marks_do_not_depend_on_the_order_of_labels():
    assert assign_marks(["b", "a", "c"]) == assign_marks(["c", "b", "a", "a"])


@pytest.mark.parametrize(
    ("low", "high", "twos", "expected"),
    [
        (1, 64, True, [1, 4, 16, 64]),
        (1, 4, False, [1, 2, 3, 4]),
        (1, 100, False, [1, 3, 10, 30, 100]),
        (1, 10_000, False, [1, 10, 100, 1000, 10_000]),
        (1010, 1090, False, [1010, 1020, 1030, 1040, 1050, 1060, 1070, 1080, 1090][::2]),
    ],
)
def test_ticks_are_round_and_few(low, high, twos, expected):
    assert _panels.log_ticks(low, high, twos=twos) == expected


@pytest.mark.parametrize("text", ["a$b", "$x^2$", "$$", r"\$", "100 %", "_x", "{", r"\frac{"])
def test_plain_text_is_never_a_formula(text):
    from matplotlib.figure import Figure

    shown = Figure().text(0, 0, plain(text))
    cleaned, is_formula = shown._preprocess_math(shown.get_text())
    assert not is_formula
    assert cleaned == text or "\\" in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"\input{/etc/passwd}", r"\textbackslash{}input\{/etc/passwd\}"),
        ("a_b & 50% #1 $x$ ~^", r"a\_b \& 50\% \#1 \$x\$ \textasciitilde{}\textasciicircum{}"),
        ("two\nlines\x00\x07", "two lines"),
        ("<b>|", r"\textless{}b\textgreater{}\textbar{}"),
    ],
)
def test_latex_is_set_literally(text, expected):
    assert escape(text) == expected


def test_hostile_cells_stay_in_their_row():
    table = pl.DataFrame({"a&b": ["x & y \\\\ \n\\end{tabular}", "[1mm]"], "n": [1, None]})
    lines = booktabs(table, "50 %\n\\evil").splitlines()
    assert lines[0] == r"% 50 \% \textbackslash{}evil"
    assert lines[4] == r"a\&b & n \\"
    assert lines[6:8] == [
        r"x \& y \textbackslash{}\textbackslash{} \textbackslash{}end\{tabular\} & 1 \\",
        r"{}[1mm] & --- \\",
    ]
    assert lines[2] == r"\begin{tabular}{@{}lr@{}}"


@pytest.mark.parametrize("columns", [4, 8, 12])
def test_a_table_for_a_paper_is_no_wider_than_a_line_and_its_note_wraps(columns):
    """17 columns with sentences in cells, and a note of 900 letters in one line, left the page."""
    row = {f"c{at}": "a sentence of some words that says why" for at in range(columns)}
    text = booktabs(pl.DataFrame([row | {"t": "easy"}] * 2), "wide", "word " * 180, groups=["t"])
    widths = [float(width) for width in re.findall(r"p\{([.\d]+)\\linewidth\}", text)]
    assert len(widths) == columns
    assert sum(widths) <= 1
    assert text.count(r"\emph{easy}") == 1
    assert rf"\parbox{{\linewidth}}{{\raggedright {'word ' * 179}word}}" in text


def test_importing_the_package_and_its_figures_loads_no_matplotlib():
    code = (
        "import sys, itscale, itscale.plugins.figures, itscale.stages.figures, itscale_builtin.figures;"
        "sys.exit('matplotlib' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("against", ["completions", "tokens", "both"])
def test_differences_are_drawn_around_none_and_tabled_with_their_p_values(tmp_path, against):
    data = small_study()
    drawing = draw(difference_curves.entry, data, tmp_path, against=against)
    kinds = ["completions", "tokens"] if against == "both" else [against]
    assert len(drawing.figure.axes) == len(kinds)
    assert drawing.table["against"].unique().sort().to_list() == kinds
    for axes in drawing.figure.axes:
        low, high = axes.get_ylim()
        assert low < 0 < high
        assert {tuple(line.get_ydata()) for line in axes.get_lines()} >= {(0.0, 0.0)}
    summary = drawing.summary
    assert summary["curves"].unique().to_list() == ["large − small · repeated_sampling · coverage"]
    assert summary["p (Holm)"].to_list() == ["0.01"] * len(kinds)
    assert all("[" in cell for cell in summary["points"])


def test_what_a_curve_estimates_is_in_the_table_and_never_in_a_label():
    """A vote that is labelled `oracle`, or even `coverage`, is drawn as a vote, and coverage as coverage."""
    labels = {"oracle": "attempts", "majority_vote": "oracle", "first": "coverage"}
    data = study_tables()
    curves = data.curves.with_columns(pl.col("selector").replace(labels))
    drawing = draw(coverage_curves.entry, only(curves))
    assert set(drawing.table["selector"]) == {"attempts"}
    legend = words(draw(selection_curves.entry, only(curves)))
    assert {"coverage", "coverage (single)", "oracle"} <= {
        line.label for line in selector_lines(only(curves))
    }
    assert "coverage (single)" in legend
    assert "attempts" not in legend
    relabelled = FigureData(curves=curves, fits=data.fits, forecasts=data.forecasts)
    for entry in ENTRIES:
        before, after = draw(entry, data).table, draw(entry, relabelled).table
        assert (
            before.drop("selector", strict=False)
            .sort(pl.all())
            .equals(after.drop("selector", strict=False).sort(pl.all()))
        )
