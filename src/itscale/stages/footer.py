"""Footers: the provenance that every stage writes into its tables."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from itscale.plugins.ingredient import Ingredient
from itscale.store.parquet import payload_hash

__all__ = ["provenance"]


def provenance(
    stage: str, fingerprint: Mapping[str, Any], inputs: Mapping[str, Path], *ingredients: Ingredient[Any]
) -> dict[str, Any]:
    """Return the metadata of an artifact: a function of what it was made from, never of when or where.

    Parameters
    ----------
    stage
        Name of the stage that makes it.
    fingerprint
        What its content depends on beside the inputs, as JSON values.
    inputs
        The files it was made from, by a name that holds on any machine.
    ingredients
        The plugins that took part; the versions of their distributions are recorded.

    Raises
    ------
    DataError
        If an input is missing.
    """
    versions = {"itscale": version("itscale")}
    versions.update((ingredient.distribution, ingredient.version) for ingredient in ingredients)
    return {
        "stage": stage,
        "fingerprint": dict(fingerprint),
        "inputs": {name: payload_hash(path) for name, path in sorted(inputs.items())},
        "versions": dict(sorted(versions.items())),
    }
