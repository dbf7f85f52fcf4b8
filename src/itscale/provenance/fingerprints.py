"""Fingerprints in the footers of a study's tables, and the check that a file is what it says.

A footer's `fingerprint` holds what the content depends on beside its inputs; from outcomes on it carries that
of the sampling, too, so that a file of another study is told by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from itscale.errors import DataError
from itscale.store.parquet import content_fault, read_metadata

if TYPE_CHECKING:
    from itscale.study.study import Study

__all__ = ["KINDS", "Fingerprints", "differences", "labels_of"]

PLACE = ("task", "model", "strategy")

KINDS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "problems": (("task",),),
    "completions": ((*PLACE, "block"),),
    "ledger": ((*PLACE, "block"),),
    "verdicts": ((*PLACE, "verifier", "block"),),
    "outcomes": (PLACE,),
    "curves": (PLACE,),
    "accuracies": (PLACE,),
    "fits": ((*PLACE, "law"), ("tables", "law")),
    "forecasts": ((*PLACE, "law"), ("tables", "law")),
    "refits": ((*PLACE, "law"),),
    "leaderboard": (PLACE,),
    "ensemble": (PLACE,),
}
"""Folders of results by what they hold, with what the names of folders and files in them are."""

UNPLACED = frozenset({"failures.parquet", "missing.parquet"})
"""Tables of results that hold what a whole study lacks: their fingerprint is empty."""

STAGES: Mapping[str, str] = {
    "problems": "problems",
    "completions": "sampling",
    "ledger": "sampling",
    "verdicts": "verification",
    "outcomes": "outcomes",
    "curves": "curves",
    "accuracies": "curves",
    "fits": "fits",
    "forecasts": "fits",
    "refits": "fits",
    "leaderboard": "leaderboard",
    "ensemble": "leaderboard",
    "differences": "differences",
}
"""The stage that makes each kind of table; tables of fits to tables are made by `table_fits`."""


def labels_of(path: Path) -> tuple[str, dict[str, str]] | None:
    """Return what a table of results holds and its labels, by its path; None of any other file."""
    if path.suffix != ".parquet":
        return None
    parts = path.with_suffix("").parts
    for at, kind in enumerate(parts):
        below = parts[at + 1 :]
        for names in KINDS.get(kind, ()):
            if len(names) == len(below) and ("tables" not in names or below[0] == "tables"):
                labels = dict(zip(names, below, strict=True))
                labels.pop("tables", None)
                return kind, labels
    return ("differences", {}) if path.name == "differences.parquet" else None


class Fingerprints:
    """The fingerprints of a study's tables, by what they hold and their labels.

    Parameters
    ----------
    hashes
        What the study's manifest says that its tables' content is, by path: it counts for tables that keep no
        record of it themselves.
    """

    def __init__(self, study: Study, hashes: Mapping[str, str] | None = None) -> None:
        self.study = study
        self.hashes = hashes or {}

    def check(self, path: Path) -> None:
        """Refuse a table that does not belong to its place in the results, or was changed there.

        Raises
        ------
        DataError
            With the file, in what it differs, and what to do.
        """
        self.check_content(path)
        if fault := self._origin_fault(path):
            raise DataError(
                f"{path}: {fault}; move it elsewhere if somebody put it there, and `itscale run` makes the "
                "right one"
            )

    def check_content(self, path: Path) -> None:
        """Refuse a table whose rows were changed since it was written; errors as in `check`."""
        if fault := self.content_fault(path):
            raise DataError(
                f"{path}: {fault}; put back the file that was written, or move this one elsewhere, and "
                "`itscale run` makes it anew"
            )

    def fault(self, path: Path) -> str:
        """Say in what a table differs from what the study made, or makes, there; nothing if in nothing.

        Raises
        ------
        DataError
            If it is missing, damaged or not written by itscale.
        """
        return self.content_fault(path) or self._origin_fault(path)

    def content_fault(self, path: Path) -> str:
        """Say that a table's rows were changed since it was written; nothing of any other file."""
        if labels_of(path) is None and path.name not in UNPLACED:
            return ""
        return content_fault(path, self.hashes.get(path.as_posix()))

    def _origin_fault(self, path: Path) -> str:
        known = labels_of(path)
        if known is None:
            return ""
        kind, labels = known
        metadata = read_metadata(path)
        stage = _stage(kind, labels)
        if self._is_imported(labels) and kind == "outcomes":
            stage = "import"
        if metadata.get("stage") != stage:
            return f"found a table of the stage {metadata.get('stage')!r}, expected one of {stage!r}"
        expected = self.of(kind, **labels)
        fingerprint = metadata.get("fingerprint", {})
        if stage == "sampling":
            expected = {key: value for key, value in expected.items() if key != "task" or key in fingerprint}
        given = {key: fingerprint.get(key) for key in expected}
        for name, found, wanted in differences(given, expected):
            return f"of another study: {name}: found {found!r}, expected {wanted!r}"
        return ""

    def of(self, kind: str, **labels: str) -> dict[str, Any]:
        """Return the fingerprint of a table, as JSON values: at least this is in its footer."""
        of: Any = getattr(self, f"_{_stage(kind, labels)}")
        return dict(of(**labels))

    def _is_imported(self, labels: Mapping[str, str]) -> bool:
        return tuple(labels.get(name) for name in PLACE) in self.study.outcomes

    def _problems(self, task: str) -> dict[str, Any]:
        return {"task": self.study.tasks[task].fingerprint()}

    def _sampling(self, task: str, model: str, strategy: str, block: str) -> dict[str, Any]:
        return {**self.sampled(task, model, strategy), "block": block}

    def sampled(self, task: str, model: str, strategy: str) -> dict[str, Any]:
        """Return what all completions of a combination depend on."""
        sampling = self.study.sampling_fingerprint(model, strategy)
        return {"seed": self.study.config.seed, "task": task, "sampling": sampling}

    def _verification(self, *, task: str, verifier: str, **_: str) -> dict[str, Any]:
        return {"verifier": self.study.verifier(task, verifier).fingerprint()}

    def _outcomes(self, task: str, model: str, strategy: str) -> dict[str, Any]:
        source = self.study.outcomes.get((task, model, strategy))
        if source is not None:
            return source.fingerprint()
        labels = self.study.verifiers_of(task)
        verifiers = {label: self.study.verifier(task, label).fingerprint() for label in labels}
        return {**self.sampled(task, model, strategy), "verifiers": verifiers}

    def _curves(self, task: str, model: str, strategy: str) -> dict[str, Any]:
        selectors = self.study.selectors.items()
        return {
            "seed": self.study.config.seed,
            "task": task,
            "outcomes": self._outcomes(task, model, strategy),
            "draws": self.study.draws(strategy),
            "curves": self.study.config.curves.model_dump(mode="json"),
            "selectors": {label: selector.fingerprint() for label, selector in selectors},
        }

    def _fits(self, task: str, model: str, strategy: str, law: str) -> dict[str, Any]:
        return {
            **self._law(law),
            "task": task,
            "outcomes": self._outcomes(task, model, strategy),
            "clusters": self.study.config.curves.clusters,
        }

    def _table_fits(self, law: str) -> dict[str, Any]:
        return self._law(law)

    def _law(self, law: str) -> dict[str, Any]:
        config = self.study.config
        return {
            "seed": config.seed,
            "law": self.study.laws[law].fingerprint(),
            "fits": config.fits.model_dump(mode="json"),
            "confidence": config.curves.confidence,
        }

    def _leaderboard(self, task: str, model: str, strategy: str) -> dict[str, Any]:
        return {
            "task": task,
            "outcomes": self._outcomes(task, model, strategy),
            "laws": {label: self.study.laws[label].fingerprint() for label in self.study.curve_laws},
            "confidence": self.study.config.curves.confidence,
        }

    def _differences(self) -> dict[str, Any]:
        config = self.study.config
        return {
            "seed": config.seed,
            "curves": config.curves.model_dump(mode="json"),
            "differences": {
                label: section.model_dump(mode="json") for label, section in config.differences.items()
            },
        }


def _stage(kind: str, labels: Mapping[str, str]) -> str:
    return "table_fits" if STAGES[kind] == "fits" and "task" not in labels else STAGES[kind]


def differences(found: Any, expected: Any, name: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield the dotted name and both values of everything in which two JSON values differ."""
    if isinstance(found, Mapping) and isinstance(expected, Mapping):
        for key in dict.fromkeys([*expected, *found]):
            yield from differences(found.get(key), expected.get(key), f"{name}.{key}" if name else key)
    elif found != expected:
        yield name, found, expected
