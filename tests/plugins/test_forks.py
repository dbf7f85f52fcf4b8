"""When vLLM's processes are forked: a fork of a process in which torch has computed waits for ever."""

import sys

import pytest

from itscale_builtin.engines import starting
from itscale_builtin.engines.starting import Forks


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of native threads, which a test may change."""
    now = [1]
    monkeypatch.setattr(starting, "_native_threads", lambda: now[0])
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    return now


def test_threads_that_imports_bring_are_no_reason_to_import_all_anew(threads: list[int]) -> None:
    forks = Forks()
    forks.watch()
    threads[0] = 3  # BLAS libraries of scipy and OpenCV, which vLLM imports
    assert forks.safe


def test_a_process_that_had_torch_before_is_not_forked(
    threads: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", object())
    forks = Forks()
    forks.watch()
    assert not forks.safe


def test_a_process_that_has_computed_since_an_engine_started_is_not_forked(threads: list[int]) -> None:
    forks = Forks()
    forks.watch()
    forks.started()
    assert forks.safe
    threads[0] += 1
    assert not forks.safe
    forks.started()
    assert forks.safe
