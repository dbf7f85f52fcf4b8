"""What a job on a block loads: a study has hundreds of them, and each is a process of its own."""

import subprocess
import sys

CODE = """
import sys
from itscale.running.job import UNUSED_BY, study_of
from itscale.stages import problems, sampling, verification

study = study_of(
    {
        "study": "tiny",
        "tasks": {"sums": {"plugin": "jsonl", "file": "problems.jsonl"}},
        "models": {"toy": {"plugin": "simulated"}},
        "strategies": {"repeated_sampling": {"completions": 4}},
        "laws": ["power_law"],
        "figures": ["law_fits"],
    },
    without=UNUSED_BY["sampling"],
)
assert study.models and not study.laws and not study.figures
heavy = ("scipy.special", "scipy.optimize", "matplotlib", "openai", "snakemake", "torch", "sympy", "httpx")
print(*(name for name in heavy if name in sys.modules))
"""


def test_a_job_on_a_block_loads_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
