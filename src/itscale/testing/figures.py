"""The contract of a figure: a drawing and its numbers, from any table of the right columns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from itscale.boundary import make_figure
from itscale.outcomes import COMPLETIONS
from itscale.plugins.figures import Drawing, FigureData, save, style
from itscale.store.rows import named_rows
from itscale.store.schemas import (
    ACCURACIES_DRAWN,
    CURVES,
    DIFFERENCES,
    FITS,
    FORECASTS,
    OUTCOMES_DRAWN,
    TREES_DRAWN,
)
from itscale.testing.entries import EntryContract, kept_word

__all__ = ["FigureContract", "small_study"]


def small_study(*, simulated: bool = True) -> FigureData:
    """Return the tables of a study of two models, one strategy, two selectors and one law."""
    curves, fits, forecasts, accuracies = [], [], [], []
    for model, rate in (("large", 0.4), ("small", 0.2)):
        where = {"task": "sums", "model": model, "strategy": "repeated_sampling", "simulated": simulated}
        for selector, estimand, share in (("oracle", "coverage", 1.0), ("majority_vote", "selected", 0.7)):
            for k in (1, 2, 4, 8, 16):
                value = share * (1 - (1 - rate) ** k)
                band = {"estimate": value, "low": 0.9 * value, "high": min(1.0, 1.1 * value)}
                cost = {"budget": k, "generated_tokens": 50.0 * k, "prompt_tokens": 20.0}
                cost |= {"scorer_tokens": 0.0, "usd": 1e-6 * (20.0 + 200.0 * k)}
                what = {"selector": selector, "estimand": estimand, "problems": 8, "axis": COMPLETIONS}
                curves.append({**where, **what, **cost, **band, "monte_carlo_error": 0.0})
                for problem in range(8):  # from harder than the mean to easier
                    easier = min(1.0, value * (0.3 + 0.2 * problem))
                    each = {"problem_id": str(problem), "accuracy": easier, "tokens": 50.0 * k}
                    accuracies.append({**where, **what, **cost, **each, "monte_carlo_error": 0.0})
        law = {**where, "law": "power_law"}
        fit = {"status": "ok", "message": "", "estimand": "asymptotic", "points": 5, "problems": 8}
        hold = {"refits": 100, "refits_failed": 0, "holdout_origins": 1, "holdout_error": 0.02}
        for parameter, value in (("amplitude", -rate), ("exponent", -0.5)):
            band = {"estimate": value, "low": value - 0.1, "high": value + 0.1}
            fits.append({**law, **fit, **hold, "parameter": parameter, **band})
        for fitted_to in (4, 16):
            for k in (1, 2, 4, 8, 16, 32, 64):
                value = 1 - (1 - rate) ** k
                role = "fit" if k <= fitted_to else "holdout" if k <= 16 else "extrapolation"
                band = {"estimate": value, "low": 0.9 * value, "high": min(1.0, 1.1 * value)}
                seen = {"budget": float(k), "role": role, "observed": value if k <= 16 else None}
                forecasts.append({**law, "fitted_to": fitted_to, **seen, **band})
    trees, outcomes = _trees(simulated)
    return FigureData(
        curves=named_rows(curves, CURVES),
        fits=named_rows(fits, FITS),
        forecasts=named_rows(forecasts, FORECASTS),
        differences=named_rows(_differences(simulated), DIFFERENCES),
        accuracies=named_rows(accuracies, ACCURACIES_DRAWN),
        outcomes=named_rows(outcomes, OUTCOMES_DRAWN).lazy(),
        trees=named_rows(trees, TREES_DRAWN).lazy(),
    )


def _differences(simulated: bool) -> list[dict[str, Any]]:
    """Return what the large model gains over the small one, at equal completions, tokens and USD."""
    pair = {"model": "large", "minus_model": "small"}
    shared = {"strategy": "repeated_sampling", "selector": "oracle"}
    where = {"difference": "larger", "task": "sums", **pair, **shared, "simulated": simulated}
    where |= {f"minus_{name}": label for name, label in shared.items()}
    test = {
        "p_value": 0.01,
        "p_error": 0.002,
        "p_curve": 0.02,
        "p_least": 1e-4,
        "comparisons": 1,
        "problems": 8,
    }
    rows = []
    for against, price in (("completions", 1.0), ("tokens", 50.0), ("usd", 2e-4)):
        for k in (1, 2, 4, 8, 16):
            value = 0.8**k - 0.6**k
            band = {
                "low": value - 0.1,
                "high": value + 0.1,
                "band_low": value - 0.2,
                "band_high": value + 0.2,
            }
            at = {"against": against, "budget": price * k, "p_holm": 0.01 if k == 16 else None}
            rows.append({**where, **at, "estimate": value, **band, "interval": "studentised", **test})
    return rows


def _trees(simulated: bool) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return trees of two problems, one of three continuations kept, and the outcomes of what ends there."""
    trees, outcomes = [], []
    empty: dict[str, list[int]] = {"completions": [], "weights": [], "reads": []}
    for model, problem in (("large", "0"), ("large", "1"), ("small", "0"), ("small", "1")):
        where = {"task": "sums", "model": model, "strategy": "beam_search", "simulated": simulated}
        where |= {"problem_id": problem, "budget": 2, "replicate": 0}
        done = {**where, "status": "done", **empty}
        trees.append({**done, "node": 0, "kind": "chat", "children": 3})
        for node, parent in ((1, 0), (2, 0), (3, 0), (4, 2), (5, 2)):
            ends = [node - 4] if node > 3 else []
            step = {"node": node, "parent": parent, "kind": "drawn", "by": model, "score": node / 6}
            row = {**done, **step, "generated_tokens": 12, "children": 2 * (node == 2)}
            trees.append({**row, "completions": ends, "weights": [None for _ in ends]})
            outcomes += [{**where, "index": index, "correct": node == 4} for index in ends]
    return trees, outcomes


def _each_table(data: FigureData, change: Callable[[Any], Any]) -> FigureData:
    return replace(data, **{table.name: change(getattr(data, table.name)) for table in fields(data)})


class FigureContract(EntryContract):
    """Tests of a figure, on the tables of `small_study()`."""

    def draw(self, data: FigureData) -> Drawing:
        """Draw as a study does."""
        with style(self.validated()):
            drawing: Drawing = self.make().draw(data)
        return drawing

    def files(self, drawing: Drawing, folder: Path) -> dict[str, bytes]:
        """Save a drawing and return the bytes of its files."""
        folder.mkdir()
        paths = {kind: folder / f"figure.{kind}" for kind in ("pdf", "svg", "png", "csv", "tex")}
        with style(self.validated()):
            save(drawing, self.entry.caption, **paths, lacking=())
        return {kind: path.read_bytes() for kind, path in paths.items()}

    def test_it_has_a_caption_in_words(self) -> None:
        """The report shows the caption below the figure."""
        assert len(self.entry.caption.split()) >= 3

    def test_a_small_study_gives_a_figure_and_its_numbers(self) -> None:
        """There is something to see, and the table says what."""
        drawing = self.draw(small_study())
        assert drawing.figure.axes
        assert len(drawing.table)
        assert len(drawing.summary)

    def test_a_study_takes_its_drawing(self) -> None:
        """A figure and two tables, one of which says what is simulated."""
        with kept_word(), style(self.validated()):
            make_figure(self.ingredient()).draw(small_study())

    def test_nothing_to_draw_is_no_crash(self) -> None:
        """A study in which every fit failed still gets its report."""
        assert len(self.draw(_each_table(small_study(), lambda table: table.clear())).table) == 0

    def test_the_order_of_rows_does_not_matter(self) -> None:
        """Tables are gathered from many files."""
        data = small_study()
        backwards = _each_table(data, lambda table: table.reverse())
        assert self.draw(backwards).table.equals(self.draw(data).table)

    def test_simulated_rows_stay_labelled(self) -> None:
        """The table says of every number whether it is simulated."""
        for simulated in (True, False):
            table = self.draw(small_study(simulated=simulated)).table
            assert set(table["simulated"]) == {simulated}

    def test_equal_tables_give_equal_bytes(self, tmp_path: Path) -> None:
        """A rerun changes no file."""
        data = small_study()
        first = self.files(self.draw(data), tmp_path / "first")
        assert self.files(self.draw(data), tmp_path / "second") == first
        assert all(first.values())
