"""Small tables of a study, and what the built-in figures draw of them."""

import io
from xml.etree import ElementTree

import numpy as np
import polars as pl
from scipy.special import betaln

from itscale.plugins import registry
from itscale.plugins.figures import FigureData, label_simulated, save, style
from itscale.store.schemas import CURVES, FITS, FORECASTS

# Figures of curves; that of differences has the contract and a test of its own.
ENTRIES = [
    plugin.entry
    for plugin in registry().plugins("figures")
    if "curves" in plugin.entry.reads and "differences" not in plugin.entry.reads
]
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
        "axis": "completions",
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
