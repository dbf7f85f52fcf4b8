"""The frame of every job around its stage: log, validation, report, one line at the end."""

from __future__ import annotations

import atexit
import hashlib
import json
import math
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Any, NoReturn

from itscale.errors import UserError, describe_os_error
from itscale.messages.mistakes import Mistake
from itscale.messages.printable import PrintableStream, one_line
from itscale.messages.secrets import MASK, remembered_words
from itscale.plugins.entries import Kind
from itscale.provenance.fingerprints import Fingerprints
from itscale.running.invocation import brings_environments, models_are_elsewhere
from itscale.running.leftovers import take_over
from itscale.sampling.blocks import Block
from itscale.sampling.failures import reason_of
from itscale.sampling.judged import Judged
from itscale.sampling.progress import Sampled
from itscale.stages.declared import STAGES
from itscale.store.parquet import write_text
from itscale.study.resolution import Examined, examine, read_document, resolve
from itscale.study.strict_yaml import Document, NotYaml, read_yaml
from itscale.study.study import Study

__all__ = [
    "CHECKED",
    "ERROR_MARK",
    "LOADING",
    "begin",
    "by_folder",
    "by_name",
    "job",
    "job_labels",
    "optional_path",
    "paths",
    "progress_file",
    "progress_writer",
    "study_digest",
    "study_of",
    "study_of_workflow",
]

CHECKED = "ITSCALE_CHECKED"
"""Environment variable: the digest of the study that has been looked at already, all of it."""

TEMPLATED = "__use_yte__"
"""Key by which Snakemake takes a file for a template."""

ERROR_MARK = "error: "
"""What the line of a log begins with that says why a job failed."""

LOADING = {"loading": True}
"""What a sampling job notes until its engine has started."""

PATIENCE = 1.0  # seconds between two looks


UNUSED_BY: Mapping[str, tuple[Kind, ...]] = {stage.name: stage.unused for stage in STAGES}
"""Kinds of plugins that jobs of a rule have no use for."""


def study_of(config: Mapping[str, Any], where: str = "study", without: Collection[Kind] = ()) -> Study:
    """Resolve the study in a Snakemake configuration, which may carry `pathvars` beside it."""
    return resolve(_study_in(config), where=where, without=without)


def study_of_workflow(workflow: Any, config: dict[str, Any]) -> Study:
    """Resolve the study of a Snakemake workflow as strictly as `itscale run` does.

    Snakemake reads files by rules of its own, under which a key may stand twice and 010 is 8: they are read
    again. What `--config` has changed is taken from the configuration, in which its numbers become numbers:
    Snakemake leaves all values inside of others texts. A file that has no key in common with it belongs to a
    workflow that has this one as a module.

    Parameters
    ----------
    workflow
        The workflow of Snakemake: which files, whether it plans a run or does a job of one, and where.
    config
        The configuration.

    Raises
    ------
    UserError
        With all that is wrong.
    """
    for key, said in workflow.config_settings.config.items():
        config[key] = _typed(said, config.get(key))
    examined = _examined(workflow, config)
    if workflow.is_main_process and os.environ.get(CHECKED) != study_digest(_study_in(config)):
        from itscale.planning.readiness import ready

        elsewhere = models_are_elsewhere(workflow)
        ready(examined, elsewhere=elsewhere is not False)
        if elsewhere is False:
            os.environ[CHECKED] = study_digest(_study_in(config))
    return examined.whole()


def _typed(said: Any, value: Any) -> Any:
    """Return a value of the configuration, what was said on the command line read as YAML."""
    if isinstance(said, Mapping) and isinstance(value, Mapping):
        return {**value, **{key: _typed(part, value.get(key)) for key, part in said.items()}}
    if isinstance(said, list):
        return [_typed(part, part) for part in said]
    return _scalar(said) if isinstance(said, str) else value


def _scalar(text: str) -> Any:
    """Return the number or truth that a text stands for without quotes; the text if it is none."""
    try:
        found = read_yaml(text).data
    except NotYaml:
        return text
    return found if isinstance(found, bool | int | float) else text


def begin(workflow: Any, config: Mapping[str, Any]) -> None:
    """End what an earlier run left, once what models need has been looked at where jobs will run here.

    Raises
    ------
    UserError
        With all that is wrong.
    """
    if os.environ.get(CHECKED) != study_digest(_study_in(config)):
        from itscale.planning.readiness import ready

        elsewhere = brings_environments(workflow) or workflow.non_local_exec
        ready(_examined(workflow, config), elsewhere=elsewhere)
    take_over(Path.cwd())


def _examined(workflow: Any, config: Mapping[str, Any]) -> Examined:
    data = _study_in(config)
    found = [(str(file), read_document(Path(file))) for file in workflow.configfiles]
    own = [(file, document) for file, document in found if not data.keys().isdisjoint(document.data)]
    earlier = [mistake for _, document in own for mistake in (*_template(document), *document.mistakes)]
    where, lines = (own[-1][0], own[-1][1].lines) if own else ("study", {})
    return examine(data, where=where, earlier=earlier, lines=lines)


def _template(document: Document) -> Iterator[Mistake]:
    if TEMPLATED in document.data:
        message = "found a template, expected a plain study: it would run code while it is read"
        yield Mistake((TEMPLATED,), message)


def _study_in(config: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key != "pathvars"}


def study_digest(data: Mapping[str, Any]) -> str:
    """Return a digest of a study as it is written."""
    return hashlib.sha256(json.dumps(data, sort_keys=True, default=str).encode()).hexdigest()


@contextmanager
def job(snakemake: Any) -> Iterator[Study]:
    """Run a job's body with all output in its log, which ends with how long it took; or with a user's error.

    A job ends by itself when the Snakemake that started it is gone: a run that was killed leaves nothing
    behind that the next one could meet.
    """
    console = os.dup(2)
    try:
        _write_to(Path(snakemake.log[0]))
        threading.Thread(target=_end_with_parents, args=(_parents(),), daemon=True).start()
        study = study_of(snakemake.config, without=UNUSED_BY.get(snakemake.rule, ()))
        _check_inputs(study, snakemake.input)
        started = time.perf_counter()
        yield study
        print(f"done in {time.perf_counter() - started:.3f} s")
    except UserError as error:
        _fail(console, error)
    except OSError as error:
        with suppress(OSError):
            traceback.print_exc()
        _fail(console, describe_os_error(error))
    except MemoryError:
        _fail(console, "out of memory; give the job more, or choose smaller blocks")
    except KeyboardInterrupt:
        _fail(console, "interrupted; run again to resume here")
    except SystemExit as error:  # whatever its status: what the job was to write is not there
        _fail(console, f"a plugin ended the process: {reason_of(error)}")
    except Exception as error:
        traceback.print_exc()  # whoever wrote the plugin needs it; the line below has all that was said
        _fail(console, f"{type(error).__name__}: {error}")
    finally:
        _mask(Path(snakemake.log[0]))


def _check_inputs(study: Study, inputs: Any) -> None:
    """Refuse tables that are not what their place says; imported ones (`source`) may be anybody's."""
    fingerprints = Fingerprints(study)
    for name, files in inputs.items():
        for path in paths(files) if name != "source" else ():
            fingerprints.check(path)


def _write_to(log: Path) -> None:
    """Send all output of this process to its log, masked and printable where it is Python that writes."""
    log.write_text("", encoding="utf-8")
    file = log.open("a", encoding="utf-8")
    for stream in (1, 2):  # also what libraries and child processes write
        os.dup2(file.fileno(), stream)
    sys.stdout, sys.stderr = (PrintableStream(stream) for stream in (sys.stdout, sys.stderr))


def _mask(log: Path) -> None:
    """Mask what other processes of the job wrote into its log: they write past `PrintableStream`."""
    words = [word.encode() for word in remembered_words(in_data=False)]
    with suppress(OSError):
        text = log.read_bytes() if words and log.is_file() else b""
        if any(word in text for word in words):
            for word in words:
                text = text.replace(word, MASK.encode())
            log.write_bytes(text)


def _fail(console: int, message: object) -> NoReturn:
    """End the job with the line that says why, in its log or else in what a descriptor stands for."""
    line = f"{ERROR_MARK}{one_line(message)}"
    try:
        print(line, file=sys.stderr, flush=True)
    except OSError:  # its log cannot be written: it is said where Snakemake says what it does
        with suppress(OSError):
            os.write(console, f"{line}\n".encode())
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (1, 2):  # what is still in buffers would fail again at the very end, and be the status
            os.dup2(nowhere, stream)
    sys.exit(1)


def _parents() -> tuple[int, int]:
    """Return the process that started this one and, since that may be a shell, the one above."""
    import psutil

    parent = psutil.Process().parent()
    above = parent.parent() if parent else None
    return (parent.pid if parent else 0, above.pid if above else 0)


def _end_with_parents(parents: tuple[int, int]) -> None:
    import psutil

    while _parents() == parents:
        time.sleep(PATIENCE)
    for child in psutil.Process().children(recursive=True):
        child.kill()
    os._exit(1)


def job_labels(snakemake: Any) -> dict[str, Any]:
    """Return a job's wildcards, the block as a `Block`."""
    return {
        name: Block.parse(value) if name == "block" else value for name, value in snakemake.wildcards.items()
    }


def paths(value: Any) -> list[Path]:
    """Return a job's named input as paths, whether Snakemake gives one or several."""
    return [Path(value)] if isinstance(value, str) else [Path(path) for path in value]


def by_folder(value: Any) -> dict[str, list[Path]]:
    """Return a job's named input as paths by the name of their folder: verdicts by verifier."""
    files = sorted(paths(value))
    return {folder: list(group) for folder, group in groupby(files, key=lambda path: path.parent.name)}


def optional_path(value: Any) -> Path | None:
    """Return a job's named input that may be absent."""
    return next(iter(paths(value)), None)


def by_name(value: Any) -> dict[str, Path]:
    """Return a job's named input of folders, by their names: the labels of models."""
    return {path.name: path for path in paths(value)}


def progress_file(log: Path) -> Path:
    """Return where a job that samples or verifies says how far it is: beside its log."""
    return log.with_suffix(".json")


def progress_writer(log: Path, *, loading: bool = True) -> Callable[[Sampled | Judged], None]:
    """Return a function that notes how far a block is: once a second, and at the end.

    Until that is first called, the job is `loading` its model, and says so.
    """
    path = progress_file(log)
    state: Sampled | Judged = Sampled()
    written = -math.inf

    def write() -> None:
        write_text(path, json.dumps(asdict(state)))

    def note(now: Sampled | Judged) -> None:
        nonlocal state, written
        if written < 0:
            path.parent.mkdir(parents=True, exist_ok=True)
            atexit.register(write)
        state = now
        if time.monotonic() - written >= PATIENCE:
            write()
            written = time.monotonic()

    if loading:
        write_text(path, json.dumps(LOADING))
    return note
