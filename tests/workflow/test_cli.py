"""What the command line says of plugins, and where it finds the workflow."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner
from workspace import CHECKOUT

from itscale.cli import app
from itscale.plugins import KINDS, registry
from itscale.running import snakemake

HEAVY = ("torch", "vllm", "transformers", "snakemake", "matplotlib", "reasoning_gym", "polars", "scipy")


def say(*arguments):
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})


def test_help_loads_nothing_heavy():
    code = f"import sys, itscale.cli; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_list_names_every_plugin():
    said = say("plugins", "list").stdout
    assert all(
        f"{kind:<11} {plugin.entry.name} " in said for kind in KINDS for plugin in registry().plugins(kind)
    )


def test_list_of_one_kind_is_only_that():
    said = say("plugins", "list", "laws").stdout
    assert "power_law" in said
    assert "simulated" not in said


def test_show_has_the_options_inside_lists_and_costs_that_say_something():
    assert "layers.0.0.model" in say("plugins", "show", "archon").stdout
    assert "33,024 tokens a completion" in say("plugins", "show", "budget_forcing").stdout
    assert "0.0" not in say("plugins", "show", "budget_forcing").stdout.partition("option")[0]


@pytest.mark.parametrize("kind", KINDS)
def test_show_says_every_option_of_every_plugin(kind):
    for plugin in registry().plugins(kind):
        done = say("plugins", "show", plugin.entry.name)
        assert done.exit_code == 0, done.output
        for name, option in plugin.entry.options.model_fields.items():
            assert f"\n{name} " in done.stdout
            assert option.description, f"{kind}/{plugin.entry.name}: option {name} has no description"


def test_show_goes_into_nested_options():
    assert "\nsuccess.unsolvable " in say("plugins", "show", "simulated").stdout


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [(("show", "simulatd"), "did you mean 'simulated'?"), (("list", "law"), "did you mean 'laws'?")],
)
def test_a_misspelt_name_is_one_line_with_the_nearest(arguments, hint):
    done = say("plugins", *arguments)
    assert done.exit_code == 1
    assert done.stderr.startswith("itscale: ")
    assert len(done.stderr.splitlines()) == 1
    assert hint in done.stderr


def test_schema_is_the_one_in_the_workflow():
    kept = (CHECKOUT / "workflow/schemas/study.schema.json").read_text()
    assert json.loads(say("schema").stdout) == json.loads(kept)


def test_the_workflow_is_found_in_a_checkout_and_in_a_wheel(tmp_path, monkeypatch):
    assert snakemake.workflow_folder() == CHECKOUT / "workflow"
    installed = tmp_path / "site-packages" / "itscale"
    (installed / "_workflow").mkdir(parents=True)
    (installed / "_workflow" / "Snakefile").touch()
    monkeypatch.setattr(snakemake, "__file__", str(installed / "cli" / "snakemake.py"))
    assert snakemake.workflow_folder() == installed / "_workflow"
