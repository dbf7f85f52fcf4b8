"""Strategies beside their peers: one server, the same calls, who is done first, and how full is the server?

    python benchmarks/strategies.py [--problems 32] [--budget 16] [--limit 256] [--delay 0.02]

Self-consistency, best-of-n, beam search and a particle filter, at one budget, on a server of this machine
that takes a while for each token and runs so many sequences at once (`strategy_server.py`): ours, all
problems at once through their sessions and the engine `openai`; its-hub problem by problem (as its examples
have it) and all problems at once; treequest (tree of thoughts, breadth first: its beam search); optillm
(self-consistency and best-of-n, on fewer problems as it makes one call after the other, and multiplied).
Peers come from the package registry into environments of their own, in a temporary folder (`--environments`
keeps them). Reward models are a constant time in each process (5 ms a call), as what is compared is the way
requests are made. Peers make the calls that they make: `sequences` says how many that was at the server, and
the ratio is of seconds a sequence.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from strategy_peers import SCORE, WIDTH, score

from itscale.plugins import registry
from itscale.sampling.partners import Partners, SessionScorer
from itscale.sampling.session import Session
from itscale.sampling.units import Unit
from itscale.types import Problem, ScorerDesk, Trajectory

HERE = Path(__file__).parent
PACKAGES = {
    "its_hub": ("its-hub[lm]",),
    "treequest": ("treequest", "openai"),
    "optillm": ("--no-deps", "optillm"),
}
MORE = {"optillm": ("openai", "requests", "aiohttp", "numpy")}
METHODS = ("self_consistency", "best_of_n", "beam_search", "particle_filter")
SEARCHES = METHODS[2:]
PEERS = {
    "its_hub": METHODS,
    "its_hub_together": METHODS,
    "treequest": ("beam_search",),
    "optillm": ("self_consistency", "best_of_n"),
}
FEWER = {"optillm": 16}
"""By how much fewer problems a peer gets that does one call after the other."""


class ConstantTime:
    """A scorer that takes as long for one trajectory as for many."""

    async def score(self, trajectories: Sequence[Trajectory], desk: ScorerDesk) -> list[float]:
        await asyncio.sleep(SCORE)
        return [score(one.text + str(one.lineage)) for one in trajectories]


async def ours(method: str, url: str, problems: int, budget: int, limit: int) -> float:
    """Return the seconds that a method takes on so many problems, all at once."""
    options = {"model": "m", "base_url": url, "concurrency": limit, "continues": True}
    engine_entry = registry().get("engines", "openai").entry
    engine = engine_entry.factory(engine_entry.options(**options), seed=0, model_directory=None)
    name = method if method in SEARCHES else "repeated_sampling"
    entry: Any = registry().get("strategies", name).entry
    stepwise = {"scorer": "r"} if method in SEARCHES else {}
    stepwise |= {"width": WIDTH} if method == "beam_search" else {}
    chosen = entry.options(max_tokens=512, **stepwise)

    async def one(number: int) -> None:
        asked = ({"role": "user", "content": f"What is {number} + {number}?"},)
        problem = Problem(problem_id=f"p{number}", messages=asked, reference="")
        run = budget if entry.draws == "runs" else 0
        unit = Unit(problem_id=problem.problem_id, budget=run, replicate=0, stop=budget)
        scorer = SessionScorer(scorer=ConstantTime(), label="r", engines={"": engine})
        session = Session(
            problem,
            unit,
            engine,
            model="m",
            stream=(0, number),
            token_limit=chosen.max_tokens,
            worth=entry.worth(chosen),
            granted=budget * entry.worth(chosen) if run else None,
            paired=entry.paired,
            pooled=True,
            partners=Partners(scorer=scorer),
        )
        made = await entry.factory(problem, session, chosen)
        if method == "best_of_n":
            await asyncio.sleep(SCORE)
        assert len(made) <= budget

    try:
        await one(0)
        begun = time.perf_counter()
        read(url, "reset")
        await asyncio.gather(*map(one, range(problems)))
        return time.perf_counter() - begun
    finally:
        await engine.close()


def read(url: str, what: str) -> dict[str, float]:
    with urllib.request.urlopen(url.replace("/v1", f"/{what}")) as reply:
        found: dict[str, float] = json.load(reply)
        return found


@contextmanager
def serving(limit: int, delay: float) -> Iterator[str]:
    command = [sys.executable, str(HERE / "strategy_server.py"), "--limit", str(limit), "--delay", str(delay)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(server.stdout.readline())}/v1"
    finally:
        server.terminate()
        server.wait()


def python_of(peer: str, folder: Path) -> str:
    """Return the Python of a peer's own environment, made if it is not there."""
    name = peer.removesuffix("_together")
    python = folder / name / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder / name)], check=True)
        for packages in (PACKAGES[name], MORE.get(name, ())):
            if packages:
                subprocess.run([str(python), "-m", "pip", "install", "-q", *packages], check=True)
    return str(python)


def theirs(
    peer: str, method: str, url: str, given: argparse.Namespace, folder: Path
) -> tuple[float, dict[str, float]]:
    """Return a peer's seconds, and what the server says; of fewer problems, multiplied."""
    fewer = FEWER.get(peer, 1)
    problems = max(1, given.problems // fewer)
    read(url, "reset")
    command = [python_of(peer, folder), str(HERE / "strategy_peers.py"), peer, method, url]
    command += [str(problems), str(given.budget), str(given.limit)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        print(f"{method} {peer}: {done.stderr.strip().splitlines()[-1][:200]}", flush=True)
        return float("nan"), {"sequences": 0, "share": 0}
    stats = read(url, "stats")
    sequences = stats["sequences"] * problems / (problems + 1) * given.problems / problems  # one to warm up
    return json.loads(done.stdout)["seconds"] * given.problems / problems, {**stats, "sequences": sequences}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", type=int, default=32)
    parser.add_argument("--budget", type=int, default=16)
    parser.add_argument("--limit", type=int, default=256, help="sequences that the server runs at once")
    parser.add_argument("--delay", type=float, default=0.02, help="seconds of a token")
    parser.add_argument("--environments", type=Path, help="folder of the peers' environments")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--peers", nargs="*", choices=tuple(PEERS), default=tuple(PEERS))
    parser.add_argument("--full", type=int, default=64, help="problems by which the server's load is told")
    given = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(f"{'method':18}{'who':18}{'seconds':>9}{'ratio':>8}{'sequences':>11}", flush=True)
    with tempfile.TemporaryDirectory() as made, serving(given.limit, given.delay) as url:
        folder = given.environments or Path(made)
        for method in given.methods:
            mine = asyncio.run(ours(method, url, given.problems, given.budget, given.limit))
            own = read(url, "stats")["sequences"]
            print(f"{method:18}{'itscale':18}{mine:9.2f}{'':8}{own:11.0f}", flush=True)
            for peer in (peer for peer in given.peers if method in PEERS[peer]):
                seconds, stats = theirs(peer, method, url, given, folder)
                theirs_each = seconds / max(1.0, stats["sequences"])
                ratio = theirs_each / (mine / own)
                print(
                    f"{method:18}{peer:18}{seconds:9.2f}{ratio:7.1f}x{stats['sequences']:11.0f}", flush=True
                )
        for method in given.methods:
            asyncio.run(ours(method, url, given.full, given.budget, given.limit))
            share = read(url, "stats")["share"]
            said = f"{100 * share:.0f} % of the sequences that the server takes"
            print(f"{method}, {given.full} problems: {said}", flush=True)
    print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
