"""The study: one YAML file, validated, with every plugin name resolved before anything runs."""

from itscale.plugins.ingredient import Ingredient
from itscale.study.resolution import Examined, examine, load_study, read_document, read_study, resolve
from itscale.study.study import Study

__all__ = [
    "Examined",
    "Ingredient",
    "Study",
    "examine",
    "load_study",
    "read_document",
    "read_study",
    "resolve",
]
