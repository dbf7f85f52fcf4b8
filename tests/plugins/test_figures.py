"""Figures: what they show is what the table says, and equal tables give equal bytes."""

import io
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import numpy as np
import polars as pl
import pytest
from scipy.special import betaln

from itscale import hookimpl
from itscale.errors import StudyError
from itscale.plugins import EngineEntry, LawEntry, SelectorEntry, StrategyEntry, TaskEntry, VerifierEntry
from itscale.plugins.figures import (
    FigureData,
    FigureOptions,
    assign_marks,
    label_simulated,
    plain,
    save,
    style,
)
from itscale.plugins.registry import load, new_manager
from itscale.plugins.strategies import SamplingOptions
from itscale.stages.figures import draw_figure, figure_caption
from itscale.store.latex import booktabs, escape
from itscale.store.parquet import write_table
from itscale.store.schemas import CURVES, FITS, FORECASTS, MISSING
from itscale.study import Study, resolve
from itscale.testing.figures import small_study
from itscale_builtin.figures import (
    _panels,
    compute_curves,
    coverage_curves,
    difference_curves,
    itscale_register_figures,
    law_fits,
    selection_curves,
)
from itscale_builtin.figures._curves import selector_lines

# Figures of curves; that of differences has the contract and a test of its own.
ENTRIES = [entry for entry in itscale_register_figures() if "differences" not in entry.reads]
NAMES = [entry.name for entry in ENTRIES]
KINDS = ("pdf", "svg", "png", "csv", "tex")
ESTIMANDS = {"oracle": "coverage", "first": "single"}
KEY = {"task": "gcd", "model": "made_up", "strategy": "repeated_sampling"}


def coverage(k, alpha=0.3, beta=3.5):
    return 1 - np.exp(betaln(alpha, beta + k) - betaln(alpha, beta))


def curve(selector="oracle", budgets=(1, 2, 4, 8, 16, 32, 64), share=1.0, simulated=True, **key):
    k = np.array(budgets)
    estimate = share * coverage(k)
    columns = {
        **KEY,
        **key,
        "selector": selector,
        "estimand": ESTIMANDS.get(selector, "selected"),
        "budget": k,
        "generated_tokens": 110.0 * k,
        "prompt_tokens": 50.0,
        "scorer_tokens": 0.0,
        "usd": 1e-5 * k,
        "estimate": estimate,
        "low": 0.9 * estimate,
        "high": 1.1 * estimate,
        "interval": "studentised",
        "band_low": 0.8 * estimate,
        "band_high": 1.2 * estimate,
        "monte_carlo_error": 0.0,
        "problems": 128,
        "simulated": simulated,
    }
    return pl.DataFrame(columns).select(list(CURVES)).cast(CURVES)


def fit(law="beta_binomial", status="ok", message="", simulated=True, **key):
    known = status == "ok"
    row = {
        **KEY,
        **key,
        "law": law,
        "status": status,
        "message": message,
        "parameter": "alpha" if known else None,
        "estimate": 0.3 if known else None,
        "low": 0.25 if known else None,
        "high": 0.35 if known else None,
        "estimand": "asymptotic",
        "points": 7,
        "problems": 128,
        "refits": 100,
        "refits_failed": 0,
        "holdout_origins": 1,
        "holdout_error": 0.01 if known else None,
        "simulated": simulated,
    }
    return pl.DataFrame([row], schema=FITS)


def forecast(law="beta_binomial", simulated=True, **key):
    parts = {
        ("fit", 64): [1, 8, 64],
        ("fit", 16): [1, 16],
        ("holdout", 16): [32, 64],
        ("extrapolation", 64): [640],
    }
    rows = [
        {
            **KEY,
            **key,
            "law": law,
            "fitted_to": fitted_to,
            "budget": float(k),
            "role": role,
            "estimate": coverage(k),
            "low": coverage(k) * 0.9,
            "high": min(1.0, coverage(k) * 1.1),
            "observed": None,
            "simulated": simulated,
        }
        for (role, fitted_to), budgets in parts.items()
        for k in budgets
    ]
    return pl.DataFrame(rows, schema=FORECASTS)


def study_tables():
    curves = [
        curve(selector, share=share, strategy=strategy)
        for strategy in ("beam_search", "repeated_sampling")
        for selector, share in (("oracle", 1.0), ("majority_vote", 0.6), ("first", 0.3))
    ]
    fits = [fit(), fit("power_law", "failed", "fewer than 5 usable points")]
    return FigureData(curves=pl.concat(curves), fits=pl.concat(fits), forecasts=forecast())


def only(curves):
    return FigureData(curves=curves, fits=pl.DataFrame(schema=FITS), forecasts=pl.DataFrame(schema=FORECASTS))


def nothing():
    return only(pl.DataFrame(schema=CURVES))


def draw(entry, data, folder=None, **options):
    """Draw a figure; with a folder, write it there."""
    maker = entry.factory(entry.options(**options))
    with style(maker.options):
        drawing = maker.draw(data)
        label_simulated(drawing)
        if folder is not None:
            save(drawing, entry.caption, **{kind: folder / f"figure.{kind}" for kind in KINDS})
    return drawing


def words(drawing):
    """Return the words a reader of the svg sees."""
    file = io.BytesIO()
    with style():
        drawing.figure.savefig(file, format="svg")
    root = ElementTree.fromstring(file.getvalue())
    return "\n".join(text.strip() for text in root.itertext() if text.strip())


@pytest.fixture(scope="module")
def study() -> Study:
    plugin = ModuleType("kinds_for_figures")
    entry = {"factory": lambda *_, **__: None, "summary": "for a test"}

    @hookimpl
    def itscale_register_tasks():
        return [TaskEntry(name="gcd", oracle="exact", **entry)]

    @hookimpl
    def itscale_register_engines():
        return [EngineEntry(name="made_up", offers=frozenset({"generate"}), **entry)]

    @hookimpl
    def itscale_register_strategies():
        return [
            StrategyEntry(name="repeated_sampling", draws="exchangeable", options=SamplingOptions, **entry)
        ]

    @hookimpl
    def itscale_register_verifiers():
        return [VerifierEntry(name="exact", role="oracle", **entry)]

    @hookimpl
    def itscale_register_selectors():
        return [SelectorEntry(name="oracle", **entry), SelectorEntry(name="first", **entry)]

    @hookimpl
    def itscale_register_laws():
        return [LawEntry(name="beta_binomial", takes="counts", **entry)]

    hooks = [
        itscale_register_tasks,
        itscale_register_engines,
        itscale_register_strategies,
        itscale_register_verifiers,
        itscale_register_selectors,
        itscale_register_laws,
        itscale_register_figures,
    ]
    for hook in hooks:
        setattr(plugin, hook.__name__, hook)
    manager = new_manager()
    manager.register(plugin)
    data = {
        "study": "drawn",
        "tasks": ["gcd"],
        "models": ["made_up"],
        "strategies": {"repeated_sampling": {"completions": 64}},
        "selectors": {"reachable": {"plugin": "oracle"}, "first": {}},
        "laws": ["beta_binomial"],
        "figures": NAMES,
        "curves": {"confidence": 0.9},
    }
    return resolve(data, load(manager))


def written(folder, data):
    """Write the tables of a study as the stages before would."""
    paths = {}
    for name in ("curves", "fits", "forecasts"):
        paths[name] = [folder / f"{name}.parquet"]
        write_table(getattr(data, name), paths[name][0], {})
    return paths


# --- the stage ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_stage_writes_a_figure_in_three_formats_and_two_tables(study, tmp_path, name):
    data = study_tables()
    relabelled = data.curves.with_columns(pl.col("selector").replace("oracle", "reachable"))
    tables = written(tmp_path, FigureData(curves=relabelled, fits=data.fits, forecasts=data.forecasts))
    files = {kind: tmp_path / "reports" / f"{name}.{kind}" for kind in KINDS}
    draw_figure(study, name, **tables, **files)
    assert files["pdf"].read_bytes().startswith(b"%PDF")
    assert files["png"].read_bytes().startswith(b"\x89PNG")
    assert "coverage" in files["svg"].read_text()
    assert pl.read_csv(files["csv"]).height > 0
    assert "90 \\%" in files["tex"].read_text()
    assert {path.name for path in (tmp_path / "reports").iterdir()} == {path.name for path in files.values()}


def test_a_figure_says_what_is_missing_of_what_it_draws(study, tmp_path):
    tables = written(tmp_path, study_tables())
    texts = {}
    for strategy in ("beam_search", "another"):
        row = dict.fromkeys(MISSING, 0) | KEY | {"strategy": strategy, "units": 128, "failed_units": 3}
        path = tmp_path / f"{strategy}.parquet"
        write_table(pl.DataFrame([row], schema=dict(MISSING)), path, {})
        files = {kind: tmp_path / strategy / f"figure.{kind}" for kind in KINDS}
        draw_figure(study, "coverage_curves", **tables, missing=[path], **files)
        texts[strategy] = files["svg"].read_text(), files["tex"].read_text()
    assert "incomplete, simulated" in texts["beam_search"][0]
    assert "Incomplete: gcd/made\\_up/beam\\_search: 3 of 128 units failed" in texts["beam_search"][1]
    assert not any("ncomplete" in text for text in texts["another"])


def test_caption_states_the_level_of_the_study(study):
    assert "90 % bootstrap intervals" in figure_caption(study, "coverage_curves")


def test_unknown_figure_names_the_nearest(study, tmp_path):
    with pytest.raises(StudyError, match="did you mean 'law_fits'"):
        figure_caption(study, "law_fit")


BYTES = """
import random, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import test_figures as t
folder, shuffle = Path(sys.argv[2]), int(sys.argv[3])
data = t.study_tables()
if shuffle:
    data = t.FigureData(**{
        name: getattr(data, name).sample(fraction=1, shuffle=True, seed=shuffle)
        for name in ("curves", "fits", "forecasts")
    })
for entry in t.ENTRIES[1:]:
    t.draw(entry, data, folder / entry.name)
"""


def test_bytes_are_equal_in_another_process_and_for_rows_in_another_order(tmp_path):
    here = str(Path(__file__).parent)
    for run, shuffle in (("a", 0), ("b", 7)):
        environment = {
            **os.environ,
            "PYTHONHASHSEED": str(shuffle),
            "SOURCE_DATE_EPOCH": str(shuffle * 10**8),
        }
        arguments = [sys.executable, "-c", BYTES, here, str(tmp_path / run), str(shuffle)]
        subprocess.run(arguments, check=True, env=environment)
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.*"))
    assert len(files) == 3 * len(KINDS)
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file


def test_files_carry_no_date_and_no_version(tmp_path):
    import matplotlib

    draw(coverage_curves.entry, study_tables(), tmp_path)
    for kind in ("pdf", "svg", "png"):
        content = (tmp_path / f"figure.{kind}").read_bytes()
        for trace in (b"CreationDate", b"<dc:date>", matplotlib.__version__.encode()):
            assert trace not in content, (kind, trace)


def test_style_ignores_and_restores_the_users_settings():
    import matplotlib

    with matplotlib.rc_context({"lines.linewidth": 17.0}):
        with style():
            assert matplotlib.rcParams["lines.linewidth"] == 1.0
            assert matplotlib.rcParams["text.usetex"] is False
        assert matplotlib.rcParams["lines.linewidth"] == 17.0


@pytest.mark.parametrize(
    ("venue", "width", "inches"),
    [("neurips2024", "full", 5.5), ("icml2024", "column", 3.25), ("icml2024", "full", 6.75)],
)
def test_figure_is_as_wide_as_the_venue_says(venue, width, inches):
    drawing = draw(selection_curves.entry, study_tables(), venue=venue, width=width)
    assert drawing.figure.get_figwidth() == pytest.approx(inches)


@pytest.mark.parametrize("venue", FigureOptions.model_fields["venue"].annotation.__args__)
def test_every_venue_can_be_drawn_without_tex(venue):
    import matplotlib

    with style(FigureOptions(venue=venue, width="column")):
        assert matplotlib.rcParams["text.usetex"] is False
        assert 1.5 < matplotlib.rcParams["figure.figsize"][0] < 5


# --- the table is the figure -------------------------------------------------------------------------------


def line_points(axes):
    return {
        (round(float(x), 9), round(float(y), 9))
        for line in axes.lines
        if len(line.get_xdata()) and line.get_transform() == axes.transData
        for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)
    }


@pytest.mark.parametrize(
    ("entry", "x"),
    [
        (coverage_curves.entry, "budget"),
        (selection_curves.entry, "budget"),
        (compute_curves.entry, "tokens"),
        (law_fits.entry, "budget"),
    ],
    ids=["coverage_curves", "selection_curves", "compute_curves", "law_fits"],
)
def test_table_holds_exactly_the_points_drawn(entry, x):
    options = {"scale": "coverage"} if entry is law_fits.entry else {}
    drawing = draw(entry, study_tables(), **options)
    rows = drawing.table.filter(pl.col("estimate").is_not_null()).select(x, "estimate").rows()
    drawn = set().union(*(line_points(axes) for axes in drawing.figure.axes))
    assert drawn == {(round(float(k), 9), round(share, 9)) for k, share in rows}


def test_hold_out_points_are_told_from_seen_ones_and_the_smaller_fit_is_not_drawn_twice():
    table = draw(law_fits.entry, study_tables()).table
    assert table.filter(role="seen")["budget"].to_list() == [1, 2, 4, 8, 16]
    assert table.filter(role="withheld")["budget"].to_list() == [32, 64]
    assert table.filter(role="fit")["fitted_to"].unique().to_list() == [64]


def test_failed_law_is_named_with_its_reason(tmp_path):
    drawing = draw(law_fits.entry, study_tables(), tmp_path)
    shown = words(drawing).replace("\n", " ")
    assert "power_law: no fit (fewer than 5 usable points)" in shown
    assert drawing.table.filter(role="failed")["message"].to_list() == ["fewer than 5 usable points"]
    assert "no fit: fewer than 5 usable points" in (tmp_path / "figure.tex").read_text()


def test_what_a_fit_remarks_is_in_the_table(tmp_path):
    told = fit(message="k spans 0.6 decades, fewer than 1.5")
    draw(law_fits.entry, FigureData(curves=curve(), fits=told, forecasts=forecast()), tmp_path)
    assert "k spans 0.6 decades, fewer than 1.5" in (tmp_path / "figure.tex").read_text()


def test_single_panel_shows_parameters_with_intervals():
    assert "alpha = 0.3 [0.25, 0.35]" in words(draw(law_fits.entry, study_tables()))


def test_curves_against_usd_have_those_of_the_table_and_say_so():
    data = study_tables()
    drawn = draw(compute_curves.entry, data, against="usd")
    assert drawn.table["usd"].min() == 1e-5
    assert "USD" in drawn.summary.columns
    assert "USD per problem" in words(drawn)
    unpriced = replace(data, curves=data.curves.with_columns(usd=pl.lit(None, pl.Float64)))
    blank = draw(compute_curves.entry, unpriced, against="usd")
    assert "no curve in this study has prices" in words(blank)


def test_tokens_of_a_scorer_count_unless_told_otherwise():
    data = study_tables()
    scored = FigureData(
        curves=data.curves.with_columns(scorer_tokens=pl.lit(5.0)), fits=data.fits, forecasts=data.forecasts
    )
    assert draw(compute_curves.entry, scored).table["tokens"].min() == 115.0
    assert draw(compute_curves.entry, scored, scorer=False).table["tokens"].min() == 110.0


def test_points_without_tokens_are_counted_in_the_figure():
    data = study_tables()
    holes = data.curves.with_columns(
        pl.when(pl.col("strategy") == "beam_search")
        .then(None)
        .otherwise("generated_tokens")
        .alias("generated_tokens")
    )
    holed = FigureData(curves=holes, fits=data.fits, forecasts=data.forecasts)
    assert "21 points without tokens left out" in words(draw(compute_curves.entry, holed))


# --- simulated ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("entry", ENTRIES, ids=NAMES)
def test_simulated_data_are_labelled_in_figure_and_tables(tmp_path, entry):
    drawing = draw(entry, study_tables(), tmp_path)
    assert "simulated" in words(drawing)
    assert "Simulated completions" in (tmp_path / "figure.tex").read_text()
    assert pl.read_csv(tmp_path / "figure.csv")["simulated"].all()


@pytest.mark.parametrize("entry", ENTRIES, ids=NAMES)
def test_real_data_are_not_labelled_simulated(tmp_path, entry):
    data = study_tables()
    real = {
        n: getattr(data, n).with_columns(simulated=pl.lit(False)) for n in ("curves", "fits", "forecasts")
    }
    drawing = draw(entry, FigureData(**real), tmp_path)
    assert "simulated" not in words(drawing)
    assert "Simulated" not in (tmp_path / "figure.tex").read_text()


def test_one_simulated_model_among_real_ones_is_named():
    curves = pl.concat([curve(model="made_up"), curve(model="real", simulated=False)])
    shown = words(draw(coverage_curves.entry, only(curves)))
    assert "made_up (simulated)" in shown
    assert "real (simulated)" not in shown
    assert "partly simulated" in shown


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
