"""The plan of a study: how many problems, which blocks, and what every job's outputs depend on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from itscale.boundary import completions_of_run, tokens_of_run, worth_of
from itscale.importing.source import Source
from itscale.planning.verdicts import (
    VerdictExtent,
    completions_judged_in,
    seconds_per_verdict,
    verdict_extents,
)
from itscale.plugins.strategies import SamplingOptions
from itscale.sampling import progress
from itscale.sampling.blocks import BLOCK_PATTERN, Block, plan_blocks
from itscale.sampling.throughput import Throughput, cell_size, measure, pooled
from itscale.stages.declaration import Stage
from itscale.stages.declared import SAMPLING, STAGES, VERIFICATION, is_literal
from itscale.store.schemas import COMBINATION
from itscale.study.imported import Combination
from itscale.study.study import Study

__all__ = ["Combination", "Extent", "Plan", "make_plan"]


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
    throughput
        How fast each combination samples.
    results
        Where its results are.
    """

    study: Study
    problems: Mapping[str, int]
    cut: Mapping[Combination, tuple[Block, ...]]
    throughput: Mapping[Combination, Throughput]
    results: Path

    def blocks(self, task: str, model: str, strategy: str) -> tuple[Block, ...]:
        """Return the blocks of a combination."""
        return self.cut[task, model, strategy]

    @cached_property
    def _labels(self) -> dict[tuple[str, ...], list[dict[str, str]]]:
        """Labels of all jobs there may be, by the names of their wildcards."""
        study = self.study
        places = [dict(zip(COMBINATION, place, strict=True)) for place in self.cut]
        blocks = [
            (dict(zip(COMBINATION, place, strict=True)), block.name)
            for place, blocks in self.cut.items()
            for block in blocks
        ]
        verifiers = {task: study.verifiers_of(task) for task in study.oracles}
        return {
            (): [{}],
            ("task",): [{"task": task} for task in study.tasks],
            ("model",): [{"model": model} for model in study.models],
            COMBINATION: places,
            (*COMBINATION, "block"): [place | {"block": block} for place, block in blocks],
            (*COMBINATION, "verifier", "block"): [
                place | {"verifier": verifier, "block": block}
                for place, block in blocks
                for verifier in verifiers[place["task"]]
            ],
            (*COMBINATION, "law"): [place | {"law": law} for place in places for law in study.curve_laws],
            ("table_law",): [{"table_law": law} for law in study.table_laws],
            ("figure",): [{"figure": figure} for figure in study.figures],
        }

    def labels(self, stage: Stage) -> list[dict[str, str]]:
        """Return the labels of every job of a stage."""
        return [labels for labels in self._labels[stage.each] if stage.wanted(self.study, labels)]

    def block_paths(self) -> list[str]:
        """Return `task/model/strategy/block` for every block of the study."""
        return ["/".join(labels.values()) for labels in self.labels(SAMPLING)]

    def sampled_paths(self) -> list[str]:
        """Return `task/model/strategy` for every combination that is sampled."""
        return ["/".join(place) for place, blocks in self.cut.items() if blocks]

    def verdict_paths(self) -> list[str]:
        """Return `task/model/strategy/verifier/block` for every block and verifier of the study."""
        return ["/".join(labels.values()) for labels in self.labels(VERIFICATION)]

    def tables(self) -> list[str]:
        """Return the path of every table of the study, below its results."""
        return [
            f"{table.format(**labels)}.parquet"
            for stage in STAGES
            for table in stage.tables
            for labels in self.labels(stage)
        ]

    def reports(self, *, but: str = "") -> list[str]:
        """Return the path of every file for a reader below the reports; one stage may be left out."""
        return [
            report.format(**labels)
            for stage in STAGES
            if stage.name != but
            for report in stage.reports
            for labels in self.labels(stage)
        ]

    def completions(self, strategy: str, block: Block) -> int:
        """Return how many completions a block of a strategy holds at most."""
        return block.units * _completions_of_unit(self.study, strategy, block.budget)

    def extent(self, combination: Combination) -> Extent:
        """Return what a combination amounts to."""
        blocks, strategy = self.cut[combination], combination[2]
        completions = sum(self.completions(strategy, block) for block in blocks)
        ingredient = self.study.strategies[strategy]
        inner = self.study.inner_of(strategy).values()
        tokens = sum(
            block.units * tokens_of_run(ingredient, block.budget, inner)
            if block.budget
            else block.units * worth_of(ingredient, inner)
            for block in blocks
        )
        return Extent(len(blocks), completions, tokens)

    def verdicts_of(self, paths: Iterable[str]) -> dict[str, int]:
        """Return how many verdicts each of `task/model/strategy/verifier/block` holds."""
        named = {path: path.split("/") for path in paths}
        return {path: self.completions(parts[2], Block.parse(parts[-1])) for path, parts in named.items()}

    def verdict_extents(self) -> list[VerdictExtent]:
        """Return what each verifier that asks models is asked."""
        drawn = {place: self.extent(place).completions for place, blocks in self.cut.items() if blocks}
        return list(verdict_extents(self.study, drawn))

    def block_extent(self, path: str) -> progress.BlockExtent:
        """Return what the block `task/model/strategy/block` shall hold, and how long completions may be."""
        task, model, strategy, name = path.split("/")
        longest = float(_longest(self.study, strategy))
        expected = self.throughput[task, model, strategy].tokens_per_completion
        if expected >= longest:  # none was seen, and a limit is meant to cut off few
            expected = longest / 2
        return progress.BlockExtent(self.completions(strategy, Block.parse(name)), expected, longest)

    def jobs(self) -> dict[str, int]:
        """Return how many jobs of each rule a run from scratch has."""
        counts = {stage.name: len(self.labels(stage)) for stage in STAGES}
        return {rule: count for rule, count in counts.items() if count}

    def constraints(self) -> dict[str, str]:
        """Return what wildcards match: the labels of the study, and the names of blocks."""
        study = self.study
        verifiers = {label for task in study.tasks for label in study.verifiers_of(task)}
        places = {name: {place[at] for place in self.cut} for at, name in enumerate(COMBINATION)}
        places["model"] |= study.models.keys()  # helpers are prepared, too
        labels = {
            **{name: sorted(known) for name, known in places.items()},
            "verifier": sorted(verifiers),
            "law": study.curve_laws,
            "table_law": study.table_laws,
            "figure": study.figures,
        }
        return {"block": BLOCK_PATTERN} | {name: "|".join(known) or "none" for name, known in labels.items()}

    def starts_engine(self, wildcards: Any) -> bool:
        """Return whether a job on a block starts an engine: sampling does, and a scorer that needs one."""
        return bool(self.models_of(wildcards))

    def models_of(self, wildcards: Any) -> list[str]:
        """Return labels of the models that a job on a block starts: the sampled one, then others."""
        label = getattr(wildcards, "verifier", None)
        if label is None:
            return list(dict.fromkeys((wildcards.model, *self.study.started_with(wildcards.strategy))))
        verifier = self.study.verifier(wildcards.task, label)
        sampled = [wildcards.model] if verifier.needs else []
        return list(dict.fromkeys((*sampled, *self.study.models_asked_by(verifier))))

    def seconds_per_verdict(self, wildcards: Any) -> float | None:
        """Return how long a verdict of a job's verifier took in blocks that are done; None where none is."""
        place = [getattr(wildcards, name) for name in (*COMBINATION, "verifier")]
        return seconds_per_verdict(self.results.joinpath("verdicts", *place))

    def computing_here(self, wildcards: Any) -> list[str]:
        """Return labels of the models that a job on a block computes with on its own machine."""
        models = self.models_of(wildcards)
        return [model for model in models if self.study.models[model].entry.local_compute]

    def depends(self, stage: str, wildcards: Any) -> dict[str, Any]:
        """Return the params by which Snakemake sees that a job has to run again, as JSON values."""
        declared = {one.name: one for one in STAGES}[stage]
        return declared.depends(self.study, {name: getattr(wildcards, name) for name in declared.each})

    def source(self, wildcards: Any) -> Source | None:
        """Return where a combination's outcomes come from, None if they are sampled."""
        return self.study.source({name: getattr(wildcards, name) for name in COMBINATION})

    def source_files(self, wildcards: Any) -> list[str]:
        """Return the files a combination's imported outcomes come from, as far as Snakemake can watch them.

        Of the others it would fill in parts of the names: they count with their hashes (`depends`).
        """
        source = self.source(wildcards)
        return [str(path) for path in source.paths if is_literal(path)] if source else []


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
    return Plan(study, problems, cut, throughput, results)


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
    seconds = 60 * size.minutes
    wanted = min(throughput.completions(seconds), completions_judged_in(study, combination[0], seconds))
    existing = _names_on_disk(results / "completions" / Path(*combination))
    across = size.completions
    if _ends_by_itself(study, combination[2]):
        # A part of such a pool would end at a success of its own, and a longer one goes on where none was.
        across = units
        existing = [name for name in existing if Block.parse(name).stop - Block.parse(name).start == units]
    for budget in section.budgets or (0,):
        height, width = cell_size(
            problems,
            units,
            wanted / _completions_of_unit(study, combination[2], budget),
            height=size.problems,
            width=across,
        )
        yield from plan_blocks(
            problems,
            units,
            problems_per_block=height,
            units_per_block=width,
            budgets=(budget,),
            existing=existing,
        )


def _completions_of_unit(study: Study, strategy: str, budget: int) -> int:
    """Return how many completions a run of a budget makes at most; 1 of a pool, whose budget is 0."""
    return completions_of_run(study.strategies[strategy], budget) if budget else 1


def _ends_by_itself(study: Study, strategy: str) -> bool:
    """Return whether how many completions a pool has depends on what they are."""
    entry = study.strategies[strategy].entry
    return entry.design != "fixed" and entry.draws == "exchangeable" and entry.per == "pool"


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
