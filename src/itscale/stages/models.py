"""Models: fetched and converted by their engine's plugin, once, before anything samples from them."""

from __future__ import annotations

from pathlib import Path

from itscale.errors import EngineError
from itscale.study.study import Study

__all__ = ["prepare_model"]


def prepare_model(study: Study, model: str, directory: Path) -> None:
    """Make the directory of a model whose options want preparing.

    Raises
    ------
    EngineError
        If there is nothing to prepare, or the plugin cannot (a hash that differs, no network ...).
    """
    ingredient = study.models[model]
    prepare = ingredient.entry.prepare
    if prepare is None or not study.wants_preparing(model):
        raise EngineError(
            f"models.{model}: {ingredient.entry.name} has nothing to prepare with these options"
        )
    ingredient.require_installed()
    prepare(ingredient.options, directory)
