"""The stage of figures: formats, captions, bytes and styles."""

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import polars as pl
import pytest
from figure_tables import ENTRIES, KEY, KINDS, NAMES, draw, study_tables

from itscale import hookimpl
from itscale.errors import StudyError
from itscale.plugins import EngineEntry, LawEntry, SelectorEntry, StrategyEntry, TaskEntry, VerifierEntry
from itscale.plugins.figures import FigureData, FigureOptions, style
from itscale.plugins.registry import load, new_manager
from itscale.plugins.strategies import SamplingOptions
from itscale.stages.figures import draw_figure, figure_caption
from itscale.store.parquet import write_table
from itscale.store.schemas import MISSING
from itscale.study import Study, resolve
from itscale_builtin.figures import coverage_curves, itscale_register_figures, selection_curves


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
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import figure_tables as t
data = t.study_tables()
shuffled = t.FigureData(**{
    name: getattr(data, name).sample(fraction=1, shuffle=True, seed=7)
    for name in ("curves", "fits", "forecasts")
})
for entry in t.ENTRIES[1:]:
    t.draw(entry, shuffled, Path(sys.argv[2]) / entry.name)
"""


def test_bytes_are_equal_in_another_process_and_for_rows_in_another_order(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    environment = {**os.environ, "PYTHONHASHSEED": "7", "SOURCE_DATE_EPOCH": "700000000"}
    arguments = [sys.executable, "-c", BYTES, str(Path(__file__).parent), str(there)]
    subprocess.run(arguments, check=True, env=environment)
    for entry in ENTRIES[1:]:
        draw(entry, study_tables(), here / entry.name)
    files = sorted(path.relative_to(here) for path in here.rglob("*.*"))
    assert len(files) == 3 * len(KINDS)
    for file in files:
        assert (here / file).read_bytes() == (there / file).read_bytes(), file


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
