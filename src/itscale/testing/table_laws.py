"""The contract of a tabular law: it finds itself again in any order of rows, and refuses where it must."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import pytest

from itscale.boundary import make_table_law
from itscale.outcomes import FloatArray, IntArray
from itscale.plugins.laws import FitFailure, FitWarning, TableData
from itscale.plugins.table_laws import TableOptions
from itscale.testing.entries import EntryContract, kept_word

__all__ = ["TableLawContract"]


@pytest.mark.filterwarnings("ignore::itscale.plugins.laws.FitWarning")
class TableLawContract(EntryContract):
    """Tests of a tabular law.

    Attributes
    ----------
    data
        Ordinary observations that the law should follow, without gaps.
    tolerance
        Largest distance between the law and the response of `data`.
    """

    data: ClassVar[TableData]
    tolerance: ClassVar[float] = 0.05

    def test_its_options_name_a_table_which_is_part_of_its_fingerprint(self) -> None:
        """A study reruns a fit when the table changes."""
        assert self.entry.takes == "table"
        assert isinstance(self.validated(), TableOptions)
        assert list(self.entry.files(self.validated()).values()) == [self.validated().file]

    def test_it_names_its_parameters_and_what_they_mean(self) -> None:
        """The table of fits has one row per parameter, and errors name the inputs."""
        law = self.make()
        for names in (law.parameters, law.inputs):
            assert names
            assert len(set(names)) == len(names)
        assert law.estimand.strip()

    def test_it_follows_the_data_it_is_fitted_to(self) -> None:
        """Ordinary data, an ordinary fit: finite parameters, and a prediction near every row."""
        law = self.make()
        fitted = law.fit(self.data)
        assert np.shape(fitted) == (len(law.parameters),)
        assert np.all(np.isfinite(fitted))
        assert np.abs(law.predict(fitted, self.data.inputs) - self.data.response).max() <= self.tolerance

    def test_a_study_takes_its_fits(self) -> None:
        """Number and finiteness of parameters and shape of predictions are checked as they come."""
        with kept_word():
            law = make_table_law(self.ingredient())
            law.predict(law.fit(self.data), self.data.inputs)

    def test_it_recovers_itself(self) -> None:
        """Fitted to its own prediction, a law predicts the same again."""
        law = self.make()
        own = law.predict(law.fit(self.data), self.data.inputs)
        again = law.fit(TableData(inputs=self.data.inputs, response=own))
        assert law.predict(again, self.data.inputs) == pytest.approx(own, abs=2e-3)

    def test_a_start_helps_and_does_not_decide(self) -> None:
        """A refit is told where the estimate was; it ends where it would have without."""
        law = self.make()
        fitted = law.fit(self.data)
        for start in (fitted, 1.5 * fitted):
            near = law.predict(law.fit(self.data, start), self.data.inputs)
            assert near == pytest.approx(law.predict(fitted, self.data.inputs), abs=1e-4)

    def test_the_same_data_give_the_same_fit(self) -> None:
        """Fits are reproducible; the order of rows is no information."""
        law = self.make()
        assert np.array_equal(law.fit(self.data), law.fit(self.data))
        order = np.random.default_rng(1).permutation(len(self.data.response))
        shuffled = law.predict(law.fit(self._rows(order)), self.data.inputs)
        assert shuffled == pytest.approx(law.predict(law.fit(self.data), self.data.inputs), abs=1e-5)

    def test_scale_is_a_number_above_0_for_every_row(self) -> None:
        """A hold-out withholds the largest scales."""
        scale = self.make().scale(self.data.inputs)
        assert scale.shape == self.data.response.shape
        assert np.all(scale > 0)

    @pytest.mark.parametrize("case", ["one row", "one row many times", "two rows", "flat", "all missing"])
    def test_data_that_say_nothing_are_no_crash(self, case: str) -> None:
        """Usable parameters, or `FitFailure` with a reason; no other error, no stray warning of numpy."""
        law, data = self.make(), self._degenerate(case)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                warnings.simplefilter("ignore", FitWarning)
                fitted = law.fit(data)
        except FitFailure as failure:
            if not str(failure).strip():
                pytest.fail("a failure must say why")
            return
        assert np.all(np.isfinite(fitted))

    def _rows(self, chosen: IntArray | list[int]) -> TableData:
        inputs: Mapping[str, FloatArray] = {
            name: values[np.asarray(chosen)] for name, values in self.data.inputs.items()
        }
        return TableData(inputs=inputs, response=self.data.response[np.asarray(chosen)])

    def _degenerate(self, case: str) -> TableData:
        if case == "one row":
            return self._rows([0])
        if case == "one row many times":
            return self._rows([0] * 30)
        if case == "two rows":
            return self._rows([0, len(self.data.response) - 1])
        response = np.full_like(self.data.response, 0.5 if case == "flat" else np.nan)
        return TableData(inputs=self.data.inputs, response=response)
