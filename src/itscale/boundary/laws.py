"""Checks of laws: as many finite parameters as they name, and predictions that could be true."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from itscale.errors import ContractError
from itscale.outcomes import FloatArray, IntArray
from itscale.plugins.given import own_curve, own_table, read_only
from itscale.plugins.laws import FitFailure, Law, LawData, TableData, TableLaw
from itscale.plugins.place import Place, Shown, is_number, real, shown

if TYPE_CHECKING:
    from itscale.plugins.entries import LawEntry
    from itscale.plugins.ingredient import Ingredient

__all__ = ["make_law", "make_table_law"]

ROUNDING = 1e-9
MOST = float(np.finfo(np.float64).max)
OPTIONAL = (
    "asymptotic_exponent",
    "effective_parameters",
    "fit_resamples",
    "log_likelihood",
    "predict_problems",
    "profile_intervals",
)
"""What else a law of a curve or of counts may be able to do."""


class BrokenFitError(ContractError, FitFailure):
    """A law broke its word while it was fitted: of a refit, that is one refit that failed."""


def make_law(ingredient: Ingredient[LawEntry]) -> Law:
    """Make a law of a curve or of counts; its fits and predictions are checked.

    Raises
    ------
    ContractError
        From `fit` (a FitFailure, too), on another number of parameters than it names, or one that is not
        finite; from `predict`, on what has another shape than the budgets or, at parameters that `fit`
        returned, is no number or lies outside [0, 1]; from what else it can do, on the like.
    """
    place = Place.of(ingredient)
    return cast(Law, _CheckedLaw(place.make(ingredient, ("fit", "predict")), place))


def make_table_law(ingredient: Ingredient[LawEntry]) -> TableLaw:
    """Make a tabular law, checked as `make_law` does, but for the range of what it predicts."""
    place = Place.of(ingredient)
    return cast(TableLaw, _CheckedTableLaw(place.make(ingredient, ("fit", "predict", "scale")), place))


class _Checked:
    """A law with its parameters checked; what it can do beside `fit` and `predict` is at hand as it is."""

    def __init__(self, law: Any, place: Place) -> None:
        # Which optional protocols a law keeps is seen by its attributes (`isinstance`): it has the law's own.
        vars(self).update(
            {
                name: getattr(law, name)
                for name in dir(law)
                if not name.startswith("_") and not hasattr(type(self), name)
            }
        )
        self._law = law
        self._place = place
        self._names = self._named("parameters")
        estimand = getattr(law, "estimand", None)
        if not isinstance(estimand, str) or not estimand.strip():
            raise place.broken("estimand", estimand, "what its exponent means, in words")

    def _named(self, attribute: str) -> tuple[str, ...]:
        given = getattr(self._law, attribute, None)
        names = tuple(given) if isinstance(given, Sequence) and not isinstance(given, str) else ()
        if not names or not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
            raise self._place.broken(attribute, given, "different names, at least one")
        return names

    def fit(self, data: Any, start: FloatArray | None = None) -> FloatArray:
        """Return the parameters, as many as the law names, all finite."""
        given = self._law.fit(data) if start is None else self._law.fit(data, read_only(start))
        try:
            return self._parameters(given)
        except ContractError as error:
            raise BrokenFitError(str(error)) from None

    def _parameters(self, given: Any) -> FloatArray:
        fitted = self._place.numbers("fit()", given)
        size = len(self._names)
        if fitted.shape != (size,):
            expected = f"{size} parameters: {', '.join(self._names)}"
            raise self._place.broken("fit()", Shown(f"{shown(given)}, of shape {fitted.shape}"), expected)
        if not np.all(np.isfinite(fitted)):
            raise self._place.broken("fit()", fitted.tolist(), "finite parameters, or FitFailure")
        return fitted

    def _predicted(self, given: Any, shape: tuple[int, ...]) -> FloatArray:
        predicted = self._place.numbers("predict()", given)
        if predicted.shape != shape:
            expected = f"a number for each of its inputs, of shape {shape}"
            raise self._place.broken("predict()", Shown(f"shape {predicted.shape}"), expected)
        return predicted


class _CheckedLaw(_Checked):
    """A law of a curve or of counts."""

    def __init__(self, law: Any, place: Place) -> None:
        super().__init__(law, place)
        self._fitted: set[bytes] = set()
        shares = not getattr(law, "unbounded", False)
        self._least, self._most = (-ROUNDING, 1 + ROUNDING) if shares else (-MOST, MOST)
        for name in OPTIONAL:
            if hasattr(law, name):
                vars(self)[name] = getattr(self, f"_{name}")

    def fit(self, data: LawData, start: FloatArray | None = None) -> FloatArray:
        """Return the parameters."""
        fitted = super().fit(own_curve(data), start)
        if np.any((data.coverage < 0) | (data.coverage > 1)):  # a series, of whatever size
            self._least, self._most = -MOST, MOST
        self._fitted.add(fitted.tobytes())
        return fitted

    def _fit_resamples(self, resamples: Sequence[LawData], start: FloatArray) -> FloatArray:
        own = [own_curve(data) for data in resamples]
        fitted = self._place.numbers("fit_resamples()", self._law.fit_resamples(own, read_only(start)))
        shape = (len(resamples), len(self._names))
        if fitted.shape != shape:
            expected = f"the parameters of each resample, of shape {shape}"
            raise self._place.broken("fit_resamples()", Shown(f"shape {fitted.shape}"), expected)
        if np.any(np.isinf(fitted)):
            raise self._place.broken("fit_resamples()", np.inf, "finite parameters, or NaN")
        self._fitted |= {row.tobytes() for row in fitted}
        return fitted

    def _asymptotic_exponent(self, parameters: FloatArray) -> float:
        given = self._law.asymptotic_exponent(read_only(parameters))
        levels = isinstance(given, float) and math.isnan(given)
        exponent = math.nan if levels else real(given)
        if exponent is None or exponent <= 0:
            expected = "a number above 0, or NaN where failure does not fall as a power"
            raise self._place.broken("asymptotic_exponent()", given, expected)
        return exponent

    def _log_likelihood(self, parameters: FloatArray, data: LawData) -> float:
        given = self._law.log_likelihood(read_only(parameters), own_curve(data))
        if not is_number(given):
            raise self._place.broken("log_likelihood()", given, "a finite number")
        return float(given)

    def _effective_parameters(self, parameters: FloatArray, data: LawData) -> float:
        given = self._law.effective_parameters(read_only(parameters), own_curve(data))
        if not is_number(given) or not 0 < given <= len(self._names):
            expected = f"a number above 0, at most its {len(self._names)} parameters"
            raise self._place.broken("effective_parameters()", given, expected)
        return float(given)

    def _profile_intervals(
        self, parameters: FloatArray, data: LawData, confidence: float
    ) -> dict[str, tuple[float, float]]:
        given = self._law.profile_intervals(read_only(parameters), own_curve(data), confidence)
        if not isinstance(given, Mapping) or not set(given) <= set(self._names):
            expected = f"intervals by the names of parameters: {', '.join(self._names)}"
            raise self._place.broken("profile_intervals()", given, expected)
        estimates = dict(zip(self._names, parameters.tolist(), strict=True))
        for name, bounds in given.items():
            low, high = bounds if isinstance(bounds, tuple) and len(bounds) == 2 else (None, None)
            if real(low) is None or real(high) is None or not low <= estimates[name] <= high:
                expected = f"(low, high) about its estimate, {shown(estimates[name])}"
                raise self._place.broken(f"profile_intervals()[{name!r}]", bounds, expected)
        return {name: (float(low), float(high)) for name, (low, high) in given.items()}

    def _predict_problems(
        self, parameters: FloatArray, sampled: IntArray, correct: IntArray, budgets: FloatArray
    ) -> FloatArray:
        given = self._law.predict_problems(*map(read_only, (parameters, sampled, correct, budgets)))
        each = self._place.numbers("predict_problems()", given)
        shape = (len(sampled), len(budgets))
        if each.shape != shape:
            expected = f"coverage of each problem at each k, of shape {shape}"
            raise self._place.broken("predict_problems()", Shown(f"shape {each.shape}"), expected)
        wrong = ~((each >= -ROUNDING) & (each <= 1 + ROUNDING))
        if np.any(wrong):
            found = float(each[wrong][0])
            raise self._place.broken("predict_problems()", found, "coverage, in [0, 1]")
        return each

    def predict(self, parameters: FloatArray, budgets: FloatArray) -> FloatArray:
        """Return coverage at each k, in [0, 1].

        At parameters that no fit returned, as diagnostics ask for, a law may say what it likes.
        """
        given = self._law.predict(read_only(parameters), read_only(budgets))
        predicted = self._predicted(given, np.shape(budgets))
        if np.asarray(parameters, dtype=np.float64).tobytes() not in self._fitted:
            return predicted
        wrong = ~((predicted >= self._least) & (predicted <= self._most))
        if np.any(wrong):
            worst = int(np.argmax(wrong))
            told = zip(self._names, np.asarray(parameters).tolist(), strict=False)
            at = ", ".join(f"{name} = {shown(value)}" for name, value in told)
            k = shown(float(np.ravel(budgets)[worst]))
            found = Shown(f"{shown(float(np.ravel(predicted)[worst]))} at k = {k} with {at}")
            raise self._place.broken("predict()", found, "coverage, in [0, 1]")
        return predicted


class _CheckedTableLaw(_Checked):
    """A tabular law."""

    def __init__(self, law: Any, place: Place) -> None:
        super().__init__(law, place)
        self._named("inputs")

    def scale(self, inputs: Mapping[str, FloatArray]) -> FloatArray:
        """Return what a hold-out calls large at each row; NaN where an input is missing."""
        own = {name: read_only(values) for name, values in inputs.items()}
        scales = self._place.numbers("scale()", self._law.scale(own))
        rows = np.shape(next(iter(inputs.values()))) if inputs else ()
        if scales.shape != rows:
            expected = f"a number for each of its inputs, of shape {rows}"
            raise self._place.broken("scale()", Shown(f"shape {scales.shape}"), expected)
        return scales

    def fit(self, data: TableData, start: FloatArray | None = None) -> FloatArray:
        """Return the parameters."""
        return super().fit(own_table(data), start)

    def predict(self, parameters: FloatArray, inputs: Mapping[str, FloatArray]) -> FloatArray:
        """Return the response at each row; NaN where an input or a parameter is missing, never infinite."""
        rows = np.shape(next(iter(inputs.values()))) if inputs else ()
        own = {name: read_only(values) for name, values in inputs.items()}
        predicted = self._predicted(self._law.predict(read_only(parameters), own), rows)
        if np.any(np.isinf(predicted)):
            raise self._place.broken("predict()", Shown("an infinite response"), "finite ones")
        return predicted
