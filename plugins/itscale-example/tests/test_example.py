from pathlib import Path

import numpy as np
import pytest
from itscale.plugins.laws import LawData
from itscale.study import load_study
from itscale.testing import LawContract, OracleContract, StrategyContract

import itscale_example as example


class TestTemperatureLadder(StrategyContract):
    entry = example.itscale_register_strategies()[0]
    options = {"rungs": [0.5, 1.0, 2.0], "temperature": 0.8}
    budgets = (1, 2, 7)


class TestLastNumber(OracleContract):
    entry = example.itscale_register_verifiers()[0]

    @pytest.mark.parametrize(
        ("text", "answer"),
        [("2 + 3 = 5", "5"), ("1,200 seats", "1200"), ("-0.50", "-0.5"), ("no idea", None)],
    )
    def test_answers(self, text, answer):
        assert self.make().answer(self.problems[0], text) == answer


class TestPerDoubling(LawContract):
    entry = example.itscale_register_laws()[0]
    tolerance = 0.2  # a straight line does not follow the contract's curve far

    def test_parameters_are_recovered(self):
        budgets = np.array([1, 2, 4, 8, 16])
        truth, none = np.array([0.1, 0.15]), np.array([], dtype=int)
        curve = self.make().predict(truth, budgets)
        data = LawData(budgets=budgets, coverage=curve, sampled=none, correct=none)
        assert self.make().fit(data) == pytest.approx(truth)


def test_the_study_finds_the_installed_plugins():
    study = load_study(Path(__file__).parents[1] / "study.yaml")
    ours = {one.entry.name for one in study.ingredients() if one.distribution == "itscale-example"}
    assert ours == {"temperature_ladder", "last_number", "per_doubling"}
