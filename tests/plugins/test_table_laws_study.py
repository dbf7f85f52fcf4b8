"""A tabular law in a study: what it reads, what is said when that is wrong, what it writes."""

import numpy as np
import polars as pl
import pytest
from tables_of_laws import CHINCHILLA, twin

from itscale.errors import DataError, StudyError
from itscale.fitting.report import FitSettings
from itscale.fitting.tabular import origins, report_table, table_gates
from itscale.planning.plan import make_plan
from itscale.plugins import LawEntry, Options
from itscale.plugins.laws import FitFailure, TableData
from itscale.plugins.table_laws import Table, TableOptions
from itscale.provenance.manifest import write_manifest
from itscale.stages.summary import summarise, summary_rows
from itscale.stages.table_fits import TABLE_FORECASTS, check_table, fit_table
from itscale.store.parquet import read_metadata, read_table
from itscale.store.schemas import FITS
from itscale.study import resolve
from itscale.testing import TableLawContract

SETTINGS = FitSettings(refits=40, holdout_refits=20, reach=10.0)


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """A table of runs in the working directory."""
    monkeypatch.chdir(tmp_path)
    data = twin(80)
    n, d = data.inputs["n"], data.inputs["d"]
    frame = pl.DataFrame(
        {
            "Model Size": n,
            "Training FLOP": 6 * n * d,
            "loss": data.response,
            "family": ["old", "new"] * 40,
            "seed": [0, 0, 1, 1] * 20,
        }
    )
    frame.write_csv("runs.csv")
    return frame


def study(**options):
    columns = {"n": "Model Size", "flops": "Training FLOP", "response": "loss"}
    law = {"plugin": "chinchilla", "file": "runs.csv", "columns": columns, **options}
    return resolve({"study": "losses", "laws": {"loss": law}, "fits": {"refits": 20, "holdout_refits": 20}})


def table_of(**options):
    return check_table(study(**options).laws["loss"])[1]


# --- what it reads --------------------------------------------------------------------------------------


def test_a_table_is_read_by_the_columns_the_law_is_told(runs):
    table = table_of()
    assert table.data.inputs["n"] == pytest.approx(runs["Model Size"].to_numpy())
    assert table.data.response == pytest.approx(runs["loss"].to_numpy())
    assert len(np.unique(table.groups)) == 80


def test_csv_and_parquet_are_read_alike(runs):
    runs.write_parquet("runs.parquet")
    assert np.array_equal(table_of().data.response, table_of(file="runs.parquet").data.response)


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        ({"family": "old"}, 40),
        ({"seed": 1}, 40),
        ({"seed": [0, 1], "family": "new"}, 40),
        ({"seed": 1.0}, 40),
    ],
)
def test_rows_are_chosen_by_values(runs, where, rows):
    assert len(table_of(where=where).data.response) == rows


def test_the_highest_losses_are_left_out_and_that_is_said(runs):
    table = table_of(drop_highest=5)
    assert len(table.data.response) == 75
    assert table.data.response.max() < np.sort(runs["loss"].to_numpy())[-5]
    assert table.remarks == ("5 rows of the highest response left out",)


def test_rows_without_a_response_are_left_out_and_that_is_said(runs):
    runs.with_columns(pl.when(pl.col("seed") == 0).then("loss").alias("loss")).write_csv("runs.csv")
    table = table_of(drop_highest=1)
    assert len(table.data.response) == 39
    assert table.remarks[0] == "40 rows without a response left out"
    assert np.all(np.isfinite(table.data.response))


def test_groups_are_resampled_whole(runs):
    table = table_of(groups="family")
    for seed in range(5):
        drawn = table.resample(np.random.default_rng(seed)).response
        first = runs.filter(pl.col("family") == "old")["loss"].to_numpy()
        assert np.isin(first, drawn).all() or not np.isin(first, drawn).any()
        assert len(drawn) == 80


WRONG = [
    ({"file": "run.csv"}, "did you mean 'runs.csv'?"),
    ({"columns": {"n": "Model Siz", "flops": "Training FLOP", "response": "loss"}}, "mean 'Model Size'?"),
    ({"columns": {"n": "Model Size", "flops": "Training FLOP"}}, "no column 'response' (columns.response)"),
    ({"columns": {"n": "Model Size", "flop": "Training FLOP"}}, "the law has no input 'flop'"),
    ({"where": {"famly": "old"}}, "did you mean 'family'?"),
    ({"where": {"family": "oldest"}}, "no row has family = oldest"),
    ({"groups": "famly"}, "did you mean 'family'?"),
    ({"drop_highest": 80}, "no row is left"),
]


@pytest.mark.parametrize(("options", "said"), WRONG)
def test_a_wrong_table_is_one_line_before_anything_runs(runs, tmp_path, options, said):
    with pytest.raises(DataError) as caught:
        make_plan(study(**options), tmp_path)
    assert said in str(caught.value)
    assert str(caught.value).startswith("laws.loss")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("cell", ["big", "1e9x", "inf"])
def test_a_cell_that_is_no_number_is_named_with_its_row(runs, cell):
    runs.with_columns(pl.col("Model Size").cast(pl.String)).with_row_index().with_columns(
        pl.when(pl.col("index") == 6).then(pl.lit(cell)).otherwise("Model Size").alias("Model Size")
    ).write_csv("runs.csv")
    with pytest.raises(DataError, match=f"row 7: Model Size: found '{cell}', expected a number"):
        table_of()


def test_an_unknown_label_is_named_with_its_row(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    columns = ("k", "m", "n", "i_doc", "i_shot", "length", "response")
    frame = pl.DataFrame({name: [1.0, 2.0] for name in columns} | {"dataset": ["musique", "2wikki"]})
    frame.write_csv("rag.csv")
    law = {"plugin": "rag_allocation", "file": "rag.csv", "datasets": ["musique", "2wiki"]}
    with pytest.raises(DataError, match=r"row 2: dataset: unknown label '2wikki'; did you mean '2wiki'"):
        check_table(resolve({"study": "rag", "laws": {"rag": law}}).laws["rag"])


def test_a_study_of_tables_has_no_laws_of_completions():
    with pytest.raises(StudyError, match=r"laws\.power_law: is fitted to completions"):
        resolve({"study": "losses", "laws": ["power_law"]})


# --- what it writes -------------------------------------------------------------------------------------


def test_a_changed_table_is_another_fingerprint(runs):
    before = study().laws["loss"].fingerprint()
    assert before == study().laws["loss"].fingerprint()
    runs.head(60).write_csv("runs.csv")
    assert study().laws["loss"].fingerprint() != before


def test_a_study_of_a_table_is_planned_fitted_and_summarised(runs, tmp_path):
    losses = study()
    jobs = make_plan(losses, tmp_path).jobs()
    assert jobs == {"table_fits": 1, "summary": 1, "manifest": 1}
    fits, forecasts = tmp_path / "fits.parquet", tmp_path / "forecasts.parquet"
    fit_table(losses, "loss", fits=fits, forecasts=forecasts)
    rows = read_table(fits, FITS)
    assert rows["parameter"].to_list() == ["A", "B", "E", "alpha", "beta", "a", "b"]
    assert rows["status"].unique().to_list() == ["ok"]
    assert rows["task"].null_count() == len(rows)
    assert (rows["low"] <= rows["estimate"]).all()
    assert (rows["refits"] + rows["refits_failed"] == 20).all()
    truth = CHINCHILLA[4] / (CHINCHILLA[3] + CHINCHILLA[4])
    assert rows.filter(parameter="a")["estimate"][0] == pytest.approx(truth, abs=0.1)
    assert read_table(forecasts, TABLE_FORECASTS)["fitted_to"].max() > 1e20
    assert read_metadata(fits)["inputs"].keys() == {"file"}
    (cells,) = summary_rows(summarise(losses, [], [fits]))
    assert cells["task"] == "(table)"
    assert "alpha = 0.3" in cells["loss"]
    write_manifest(losses, artifacts=[fits, forecasts], output=tmp_path / "manifest.json")


def test_two_fits_of_one_table_are_equal(runs, tmp_path):
    tables = []
    for name in ("first", "second"):
        path = tmp_path / f"{name}.parquet"
        fit_table(study(), "loss", fits=path, forecasts=tmp_path / "forecasts.parquet")
        tables.append(path.read_bytes())
    assert tables[0] == tables[1]


def test_a_fit_that_fails_is_a_row_with_its_reason(runs, tmp_path):
    fits, forecasts = tmp_path / "fits.parquet", tmp_path / "forecasts.parquet"
    runs.head(4).write_csv("runs.csv")
    fit_table(study(), "loss", fits=fits, forecasts=forecasts)
    (row,) = read_table(fits, FITS).to_dicts()
    assert (row["status"], row["parameter"], row["identified"]) == ("failed", None, False)
    assert row["message"] == "found 4 complete rows, expected at least 5"
    assert read_table(forecasts, TABLE_FORECASTS).is_empty()


# --- what holds it to account ---------------------------------------------------------------------------


class Line:
    """y = a x, by least squares; refuses resamples that lack the row of largest x."""

    inputs = ("x",)
    parameters = ("a",)
    estimand = "slope"
    whole = False

    def fit(self, data, start=None):
        x, y = data.inputs["x"], data.response
        if self.whole and x.max() < 100:
            raise FitFailure("the largest row is missing")
        return np.array([x @ y / (x @ x)])

    def predict(self, parameters, inputs):
        return parameters[0] * inputs["x"]

    def scale(self, inputs):
        return inputs["x"]


def line_table(x=(1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0), noise=0.0):
    x = np.array(x)
    y = 3 * x * np.exp(noise * np.random.default_rng(0).normal(size=len(x)))
    return Table(data=TableData(inputs={"x": x}, response=y), groups=np.arange(len(x)))


def test_origins_see_smaller_scales_and_are_tried_on_larger_ones():
    scale = np.array([5.0, 1.0, 100.0, 40.0, np.nan, 10.0])
    found = [(last, *map(list, rows)) for last, *rows in origins(scale, (8, 4, 2), None)]
    assert found == [
        (10.0, [0, 1, 5], [2, 3]),  # 100 / 8; 100 / 4 sees the same
        (40.0, [0, 1, 3, 5], [2]),  # 100 / 2, and all but the largest
    ]
    (cut, last) = origins(scale, (8, 4, 2), 10.0)
    assert (cut[0], list(cut[2])) == (10.0, [2, 3])
    assert last[0] == 40.0


def test_a_law_that_is_right_foretells_what_was_withheld():
    report = report_table(Line(), line_table(), SETTINGS, (8, 4, 2))
    (row,) = report.fits
    assert row["estimate"] == pytest.approx(3)
    assert row["holdout_error"] == pytest.approx(0, abs=1e-12)
    assert row["holdout_origins"] == len(report.forecasts) - 1
    assert report.forecasts[-1].roles == ("fit",) * 7  # it has no frontier: nothing beyond the data


def test_a_law_that_is_wrong_is_shown_to_be():
    x = np.geomspace(1, 100, 20)
    bent = Table(data=TableData(inputs={"x": x}, response=3 * x**1.5), groups=np.arange(20))
    (row,) = report_table(Line(), bent, SETTINGS, (8, 4, 2)).fits
    assert row["holdout_rmsle"] > 0.3
    assert row["holdout_log_error"] < -0.3
    assert row["holdout_inside"] == 0


def test_refits_that_fail_are_counted_with_their_reason():
    law = Line()
    law.whole = True
    (row,) = report_table(law, line_table(noise=0.1), SETTINGS, (8,)).fits
    assert row["refits"] + row["refits_failed"] == 40
    assert 0 < row["refits_failed"] < 40
    assert "the largest row is missing" in row["message"]


def test_one_group_gives_an_estimate_without_interval():
    table = line_table()
    alone = Table(data=table.data, groups=np.zeros(7, dtype=np.int64))
    (row,) = report_table(Line(), alone, SETTINGS, (8,)).fits
    assert row["low"] is None
    assert "nothing to resample" in row["message"]


def test_gates_close_where_runs_do_not_determine_a_law(runs):
    """Along one line in (log N, log D) nothing tells size from data."""
    law, table = check_table(study().laws["loss"])
    found = law.fit(table.data)
    condition, correlation, reasons = table_gates(law, found, table.data)
    assert not any("collinear" in reason or "rows" in reason for reason in reasons)
    assert condition < 1e5
    assert 0.9 < correlation < 0.99
    n = table.data.inputs["n"]
    collinear = TableData(inputs={"n": n, "flops": 6 * n * 20 * n}, response=table.data.response)
    condition, _, reasons = table_gates(law, found, collinear)
    assert any("log n and log d are collinear (correlation 1.000)" in reason for reason in reasons)
    few = table.rows(np.arange(8))
    assert any("8 rows for 5 parameters" in reason for reason in table_gates(law, found, few.data)[2])


# --- the contract ---------------------------------------------------------------------------------------


class FirstRow(Line):
    """Goes through the first row, whatever the others say; a start decides; no scale for any row."""

    def fit(self, data, start=None):
        first = np.array([data.response[0] / data.inputs["x"][0]])
        return first if start is None else start

    def scale(self, inputs):
        return np.zeros(len(inputs["x"]))


@pytest.mark.parametrize(
    ("options", "promise"),
    [
        (TableOptions, "it_follows_the_data_it_is_fitted_to"),
        (TableOptions, "a_start_helps_and_does_not_decide"),
        (TableOptions, "the_same_data_give_the_same_fit"),
        (TableOptions, "scale_is_a_number_above_0_for_every_row"),
        (Options, "its_options_name_a_table_which_is_part_of_its_fingerprint"),
    ],
)
def test_a_law_that_breaks_a_promise_is_noticed(options, promise):
    """The contract of tabular laws is worth something."""
    law = LawEntry(name="x", factory=lambda _: FirstRow(), options=options, takes="table", summary="x")
    data = line_table(noise=0.2).data
    given = {"file": "x.csv"} if options is TableOptions else {}
    contract = type("Broken", (TableLawContract,), {"entry": law, "options": given, "data": data})
    with pytest.raises(AssertionError):
        getattr(contract(), f"test_{promise}")()
