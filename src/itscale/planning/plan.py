"""The plan of a study: how many problems, which blocks, and what every job's outputs depend on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from itscale.importing.source import Source
from itscale.messages.printable import without_tags
from itscale.plugins.ingredient import Ingredient
from itscale.plugins.strategies import SamplingOptions
from itscale.sampling import progress
from itscale.sampling.blocks import BLOCK_PATTERN, Block, plan_blocks
from itscale.sampling.throughput import Throughput, cell_size, measure, pooled
from itscale.store.parquet import payload_hash
from itscale.study.imported import Combination
from itscale.study.study import Study

__all__ = ["STAGE_REVISIONS", "Combination", "Extent", "Plan", "make_plan"]

PLACE = ("task", "model", "strategy")

STAGE_REVISIONS: Mapping[str, int] = {
    "problems": 1,
    "models": 1,
    "sampling": 2,
    "verification": 1,
    "outcomes": 4,
    "failures": 3,
    "curves": 6,
    "fits": 6,
    "leaderboard": 6,
    "leaderboard_table": 5,
    "table_fits": 3,
    "differences": 7,
    "figures": 5,
    "summary": 7,
    "manifest": 1,
}
"""Raised when a stage gives other outputs from the same inputs: what it made runs again."""


REPORTED = frozenset({"differences", "failures", "figures", "leaderboard_table", "manifest", "summary"})
"""Stages of which some outputs are in Snakemake's report, with all that they depend on."""


@dataclass(frozen=True)
class Extent:
    """How much a study asks for: an upper bound where a strategy may stop early."""

    blocks: int
    completions: int
    tokens: int


@dataclass(frozen=True)
class Plan:
    """What runs, in which pieces.

    Attributes
    ----------
    study
        The study.
    problems
        Number of problems of each task.
    cut
        The blocks of each combination; none where its outcomes are imported.
    tasks
        The fingerprint of each task, taken once: it may hash files.
    throughput
        How fast each combination samples.
    """

    study: Study
    problems: Mapping[str, int]
    cut: Mapping[Combination, tuple[Block, ...]]
    tasks: Mapping[str, Mapping[str, Any]]
    throughput: Mapping[Combination, Throughput]

    def blocks(self, task: str, model: str, strategy: str) -> tuple[Block, ...]:
        """Return the blocks of a combination."""
        return self.cut[task, model, strategy]

    def block_paths(self) -> list[str]:
        """Return `task/model/strategy/block` for every block of the study."""
        return ["/".join((*place, block.name)) for place, blocks in self.cut.items() for block in blocks]

    def sampled_paths(self) -> list[str]:
        """Return `task/model/strategy` for every combination that is sampled."""
        return ["/".join(place) for place, blocks in self.cut.items() if blocks]

    def verdict_paths(self) -> list[str]:
        """Return `task/model/strategy/verifier/block` for every block and verifier of the study."""
        return [
            "/".join((*place, verifier, block.name))
            for place, blocks in self.cut.items()
            if blocks
            for verifier in self.study.verifiers_of(place[0])
            for block in blocks
        ]

    def tables(self) -> list[str]:
        """Return the path of every table of the study, below its results."""
        study = self.study
        places = ["/".join(place) for place in self.cut]
        found = [f"problems/{task}" for task in study.tasks]
        found += [f"{kind}/{block}" for kind in ("completions", "ledger") for block in self.block_paths()]
        found += [f"verdicts/{path}" for path in self.verdict_paths()]
        found += ["failures", "missing"] if self.block_paths() else []
        found += [f"{kind}/{place}" for kind in ("outcomes", "curves", "accuracies") for place in places]
        if study.curve_laws:
            found += [f"{kind}/{place}" for kind in ("leaderboard", "ensemble") for place in places]
        for kind in ("fits", "forecasts", "refits"):
            found += [f"{kind}/{place}/{law}" for place in places for law in study.curve_laws]
        found += [f"{kind}/tables/{law}" for kind in ("fits", "forecasts") for law in study.table_laws]
        found += ["differences"] * bool(study.config.differences)
        return [f"{path}.parquet" for path in found]

    def completions(self, block: Block) -> int:
        """Return how many completions a block holds: each run of a run-based strategy makes its budget."""
        return block.units * (block.budget or 1)

    def extent(self, combination: Combination) -> Extent:
        """Return what a combination amounts to."""
        blocks = self.cut[combination]
        completions = sum(self.completions(block) for block in blocks)
        return Extent(len(blocks), completions, completions * _longest(self.study, combination[2]))

    def block_extent(self, path: str) -> progress.Extent:
        """Return what the block `task/model/strategy/block` shall hold, and how long completions may be."""
        task, model, strategy, name = path.split("/")
        longest = float(_longest(self.study, strategy))
        expected = self.throughput[task, model, strategy].tokens_per_completion
        if expected >= longest:  # none was seen, and a limit is meant to cut off few
            expected = longest / 2
        return progress.Extent(self.completions(Block.parse(name)), expected, longest)

    def jobs(self) -> dict[str, int]:
        """Return how many jobs of each rule a run from scratch has."""
        study = self.study
        prepared = sum(self.wants_preparing(model) for model in study.models)
        counts = {
            "problems": len(study.tasks),
            "model": prepared,
            "sample": len(self.block_paths()),
            "verify": len(self.verdict_paths()),
            "outcomes": len(self.cut),
            "failures": int(bool(self.block_paths())),
            "curves": len(self.cut),
            "fit": len(self.cut) * len(study.curve_laws),
            "leaderboard": len(self.cut) * bool(study.curve_laws),
            "leaderboard_table": int(bool(study.curve_laws)),
            "table_fit": len(study.table_laws),
            "differences": int(bool(study.config.differences)),
            "figure": len(study.figures),
            "summary": 1,
            "manifest": 1,
        }
        return {rule: count for rule, count in counts.items() if count}

    def constraints(self) -> dict[str, str]:
        """Return what wildcards match: the labels of the study, and the names of blocks."""
        study = self.study
        verifiers = {label for task in study.tasks for label in study.verifiers_of(task)}
        labels = {
            **{name: sorted({place[at] for place in self.cut}) for at, name in enumerate(PLACE)},
            "verifier": sorted(verifiers),
            "law": study.curve_laws,
            "table_law": study.table_laws,
            "figure": study.figures,
        }
        return {"block": BLOCK_PATTERN} | {name: "|".join(known) or "none" for name, known in labels.items()}

    def wants_preparing(self, model: str) -> bool:
        """Return whether a model is fetched and converted by a rule of its own."""
        engine = self.study.models[model]
        return engine.entry.prepare is not None and engine.entry.wants_preparing(engine.options)

    def starts_engine(self, wildcards: Any) -> bool:
        """Return whether a job on a block starts the engine: sampling does, and a scorer that needs it."""
        verifier = getattr(wildcards, "verifier", None)
        return verifier is None or bool(self.study.verifier(wildcards.task, verifier).entry.needs)

    def models_of(self, wildcards: Any) -> list[str]:
        """Return labels of the models that a job on a block starts: the sampled one, then its helpers."""
        if not self.starts_engine(wildcards):
            return []
        sampling = getattr(wildcards, "verifier", None) is None
        helpers = self.study.helpers_of(wildcards.strategy) if sampling else ()
        return list(dict.fromkeys((wildcards.model, *helpers)))

    def computing_here(self, wildcards: Any) -> list[str]:
        """Return labels of the models that a job on a block computes with on its own machine."""
        models = self.models_of(wildcards)
        return [model for model in models if self.study.models[model].entry.local_compute]

    def depends(self, stage: str, wildcards: Any) -> dict[str, Any]:
        """Return what a job's outputs depend on beside its inputs, as JSON values.

        How many completions, budgets or problems are asked for is never in it: those add blocks.
        """
        depends: dict[str, Any] = {
            "revision": STAGE_REVISIONS[stage],
            **getattr(self, f"_{stage}")(wildcards),
        }
        return without_tags(depends) if stage in REPORTED else depends

    def _problems(self, wildcards: Any) -> dict[str, Any]:
        return {"task": self._task(wildcards.task), "problems": self.problems[wildcards.task]}

    def _models(self, wildcards: Any) -> dict[str, Any]:
        return {"model": self.study.models[wildcards.model].fingerprint()}

    def _sampling(self, wildcards: Any) -> dict[str, Any]:
        fingerprint = self.study.sampling_fingerprint(wildcards.model, wildcards.strategy)
        return {"seed": self.study.config.seed, "task": self._task(wildcards.task), **fingerprint}

    def _verification(self, wildcards: Any) -> dict[str, Any]:
        verifier = self.study.verifier(wildcards.task, wildcards.verifier).fingerprint()
        return {"task": self._task(wildcards.task), "verifier": verifier}

    def source(self, wildcards: Any) -> Source | None:
        """Return where a combination's outcomes come from, None if they are sampled."""
        return self.study.outcomes.get((wildcards.task, wildcards.model, wildcards.strategy))

    def source_files(self, wildcards: Any) -> list[str]:
        """Return the files a combination's imported outcomes come from, as far as Snakemake can watch them.

        Of the others it would fill in parts of the names: they count with their hashes (`depends`).
        """
        source = self.source(wildcards)
        return [str(path) for path in source.paths if _is_literal(path)] if source else []

    def _outcomes(self, wildcards: Any) -> dict[str, Any]:
        if source := self.source(wildcards):
            hashes = {str(path): payload_hash(path) for path in source.paths if not _is_literal(path)}
            return {"import": source.fingerprint(), **({"files": hashes} if hashes else {})}
        verifiers = self.study.verifiers_of(wildcards.task)
        return {
            "verifiers": {
                label: self.study.verifier(wildcards.task, label).fingerprint() for label in verifiers
            }
        }

    def _failures(self, wildcards: Any) -> dict[str, Any]:
        return {}

    def _curves(self, wildcards: Any) -> dict[str, Any]:
        return {"selectors": _fingerprints(self.study.selectors), **self._estimation()}

    def _fits(self, wildcards: Any) -> dict[str, Any]:
        fits = self.study.config.fits.model_dump(mode="json")
        return {**self._estimation(), "law": self.study.laws[wildcards.law].fingerprint(), "fits": fits}

    def _table_fits(self, wildcards: Any) -> dict[str, Any]:
        config = self.study.config
        fits = config.fits.model_dump(mode="json")
        law = self.study.laws[wildcards.table_law].fingerprint()
        return {"law": law, "fits": fits, "confidence": config.curves.confidence, "seed": config.seed}

    def _leaderboard(self, wildcards: Any) -> dict[str, Any]:
        return {"laws": list(self.study.curve_laws), "confidence": self.study.config.curves.confidence}

    def _leaderboard_table(self, wildcards: Any) -> dict[str, Any]:
        return {"confidence": self.study.config.curves.confidence}

    def _differences(self, wildcards: Any) -> dict[str, Any]:
        sections = self.study.config.differences
        differences = {label: section.model_dump(mode="json") for label, section in sections.items()}
        return {**self._estimation(), "differences": differences}

    def _figures(self, wildcards: Any) -> dict[str, Any]:
        confidence = self.study.config.curves.confidence
        return {"figure": self.study.figures[wildcards.figure].fingerprint(), "confidence": confidence}

    def _summary(self, wildcards: Any) -> dict[str, Any]:
        confidence = self.study.config.curves.confidence
        return {
            "selectors": list(self.study.selectors),
            "laws": list(self.study.laws),
            "confidence": confidence,
        }

    def _manifest(self, wildcards: Any) -> dict[str, Any]:
        return {"study": self.study.config.model_dump(mode="json")}

    def _estimation(self) -> dict[str, Any]:
        config = self.study.config
        return {"curves": config.curves.model_dump(mode="json"), "seed": config.seed}

    def _task(self, task: str) -> dict[str, Any]:
        return dict(self.tasks[task])


def _is_literal(path: Path) -> bool:
    """Return whether Snakemake takes a path as it is: it knows no way to write a brace in an input."""
    return not set("{}<>") & set(str(path))


def _fingerprints(ingredients: Mapping[str, Ingredient[Any]]) -> dict[str, Any]:
    return {label: ingredient.fingerprint() for label, ingredient in ingredients.items()}


def make_plan(study: Study, results: Path, problems: Mapping[str, int] | None = None) -> Plan:
    """Count problems and cut blocks, keeping the blocks that `results` already holds.

    Parameters
    ----------
    study
        The study.
    results
        Its folder of results.
    problems
        Number of problems of each task, where they are counted, and tables of laws read, already.

    Raises
    ------
    UserError
        If a task cannot be read, or a table that a law is fitted to.
    """
    from itscale.stages.problems import count_problems
    from itscale.stages.table_fits import check_table

    if problems is None:
        for label in study.table_laws:
            check_table(study.laws[label])
        problems = {
            label: count_problems(task, study.config.tasks[label].problems)
            for label, task in study.tasks.items()
        }
    throughput = _throughput(study, results / "completions")
    cut = {
        combination: tuple(
            _cut(study, problems[combination[0]], combination, results, throughput[combination])
        )
        for combination in _combinations(study)
    } | dict.fromkeys(study.outcomes, ())
    return Plan(study, problems, cut, _fingerprints(study.tasks), throughput)


def _combinations(study: Study) -> Iterator[Combination]:
    for task in study.tasks:
        for model in study.sampled_models:
            for strategy in study.strategies:
                yield task, model, strategy


def _throughput(study: Study, folder: Path) -> dict[Combination, Throughput]:
    """Read from blocks on disk how fast each combination samples; one without any is as fast as its model."""
    done = {combination: measure(folder / Path(*combination)) for combination in _combinations(study)}
    return {
        place: pooled(
            blocks,
            [block for other, theirs in done.items() if other[1] == place[1] for block in theirs],
            _longest(study, place[2]),
        )
        for place, blocks in done.items()
    }


def _longest(study: Study, strategy: str) -> int:
    """Return the most tokens of a completion."""
    options = study.strategies[strategy].options
    return options.max_tokens if isinstance(options, SamplingOptions) else 0


def _cut(
    study: Study, problems: int, combination: Combination, results: Path, throughput: Throughput
) -> Iterator[Block]:
    section, size = study.config.strategies[combination[2]], study.config.block
    units = section.completions or section.replicates
    wanted = throughput.completions(60 * size.minutes)
    existing = _names_on_disk(results / "completions" / Path(*combination))
    for budget in section.budgets or (0,):
        height, width = cell_size(
            problems, units, wanted / (budget or 1), height=size.problems, width=size.completions
        )
        yield from plan_blocks(
            problems,
            units,
            problems_per_block=height,
            units_per_block=width,
            budgets=(budget,),
            existing=existing,
        )


def _names_on_disk(folder: Path) -> list[str]:
    """Return names of blocks: those that are done, the largest first, then those that were begun."""
    done = sorted(_blocks_in(folder, "p*.parquet"), key=lambda block: (-block.units, block))
    begun = sorted(_blocks_in(folder, ".p*.journal"))
    return [block.name for block in (*done, *begun)]


def _blocks_in(folder: Path, pattern: str) -> Iterator[Block]:
    for path in folder.glob(pattern):
        try:
            yield Block.parse(path.stem.removeprefix("."))
        except ValueError:
            continue  # someone else's file
