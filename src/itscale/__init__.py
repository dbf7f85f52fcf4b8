"""Inference-time scaling studies: sampling, verification, selection, scaling laws, report.

The package is importable without Snakemake, torch or vLLM. Plugin authors need
`hookimpl`, the entry records of `itscale.plugins.registry`, and the types of `itscale.types`.
"""

from importlib.metadata import version

from itscale.hookspecs import hookimpl

__all__ = ["__version__", "hookimpl"]

__version__ = version("itscale")
