"""Laws are believed in nothing: one that breaks its word is a fit that failed."""

import math
import re

import numpy as np
import polars as pl
import pytest
from hostile import NAN, Law, hostile, law, message_of, refusal


@pytest.mark.parametrize(
    ("factory", "said"),
    [
        (
            law(fit=lambda data, start=None: np.array([1.0, 2.0])),
            "fit(): found array([1., 2.]), of shape (2,)",
        ),
        (law(fit=lambda data, start=None: 0.5), "fit(): found 0.5, of shape (), expected 1 parameters: rate"),
        (law(fit=lambda data, start=None: None), "fit(): found None, expected an array of numbers"),
        (law(fit=lambda data, start=None: [0.5 + 0j]), "fit(): found [(0.5+0j)], expected an array of"),
        (law(fit=lambda data, start=None: ["0.5"]), "fit(): found ['0.5'], expected an array of numbers"),
        (law(fit=lambda data, start=None: [True]), "fit(): found [True], expected an array of numbers"),
        (law(fit=lambda data, start=None: np.ma.masked_all(1)), "fit(): found masked_array("),
        (law(predict=lambda parameters, k: k + 0j), "predict(): found array("),
        (
            law(effective_parameters=lambda parameters, data: 2.0),
            "effective_parameters(): found 2, expected a number above 0, at most its 1 parameters",
        ),
        (
            law(profile_intervals=lambda parameters, data, confidence: {"rate": (0.9, 0.1)}),
            "profile_intervals()['rate']: found (0.9, 0.1), expected (low, high) about its estimate",
        ),
        (law(fit=lambda data, start=None: ["a"]), "fit(): found ['a'], expected an array of numbers"),
        (law(fit=lambda data, start=None: [NAN]), "fit(): found [nan], expected finite parameters"),
        (law(fit=lambda data, start=None: [math.inf]), "fit(): found [inf], expected finite parameters"),
        (law(predict=lambda parameters, k: np.full(k.shape, 7.0)), "predict(): found 7 at k = 1 with rate ="),
        (law(predict=lambda parameters, k: np.full(k.shape, -0.1)), "predict(): found -0.1 at k = 1"),
        (law(predict=lambda parameters, k: np.full(k.shape, NAN)), "predict(): found nan at k = 1"),
        (law(predict=lambda parameters, k: k[1:]), "predict(): found shape ("),
        (
            law(asymptotic_exponent=lambda parameters: -3.0),
            "asymptotic_exponent(): found -3, expected a",
        ),
        (law(asymptotic_exponent=lambda parameters: math.inf), "asymptotic_exponent(): found inf, expected"),
        (law(asymptotic_exponent=lambda parameters: "1"), "asymptotic_exponent(): found '1', expected"),
        (law(log_likelihood=lambda parameters, data: NAN), "log_likelihood(): found nan, expected a finite"),
        (law(predict=lambda parameters, k: parameters[0] * k), "expected coverage, in [0, 1]"),
    ],
)
def test_a_law_that_breaks_its_word_is_a_fit_that_failed(study, factory, said):
    status, message = message_of(hostile(study, "laws", "line", factory))
    assert status == "failed"
    assert message.startswith("laws/power_law (label 'line'): ")
    assert said in message
    assert re.fullmatch("[^\n]*found .*, expected [^\n]*", message)


def test_a_law_that_fills_one_array_with_every_fit_has_not_changed_the_earlier_ones(study):
    class Reusing(Law):
        kept = np.zeros(1)

        def fit(self, data, start=None):
            self.kept[:] = super().fit(data)
            return self.kept

    sound = message_of(hostile(study, "laws", "line", law()))
    tables = [pl.read_parquet(f"{name}.parquet") for name in ("fits", "forecasts", "refits")]
    assert message_of(hostile(study, "laws", "line", lambda options: Reusing())) == sound
    for name, table in zip(("fits", "forecasts", "refits"), tables, strict=True):
        assert pl.read_parquet(f"{name}.parquet").equals(table)


def test_a_law_cannot_change_the_data_of_others(study):
    def spoil(data, start=None):
        data.coverage[:] = 0

    with pytest.raises(ValueError, match="read-only"):
        message_of(hostile(study, "laws", "line", law(fit=spoil)))


def test_a_law_as_it_should_be_is_left_alone(study):
    assert message_of(hostile(study, "laws", "line", law()))[0] == "ok"


@pytest.mark.parametrize(
    ("factory", "said"),
    [
        (law(parameters="rate"), "parameters: found 'rate', expected different names"),
        (law(parameters=("a", "a")), "parameters: found ('a', 'a'), expected different names"),
        (law(estimand=""), "estimand: found '', expected"),
        (lambda options: object(), "expected an object with fit(), predict()"),
    ],
)
def test_laws_that_cannot_be_fitted_at_all(study, factory, said):
    changed = hostile(study, "laws", "line", factory)
    assert said in refusal(lambda: message_of(changed), "laws/power_law (label 'line'): ")
