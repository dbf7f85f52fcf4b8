"""Snakemake's logger plugin `itscale`, in a package by whose name Snakemake finds it."""

from itscale.running.logger import LogHandler, LogHandlerSettings

__all__ = ["LogHandler", "LogHandlerSettings"]
