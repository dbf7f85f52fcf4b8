# What a user types. Needs Python 3.11 with venv, and make; everything else is fetched, pinned, into .venv*.
#
#   make demo    the default study, end to end, on a small real language model on this machine's CPU
#   make test    the test suite, in an environment without torch
#   make slow    the tests that take longer: faults that really happen, merging, sharing
#   make lint    ruff, mypy, snakefmt and Snakemake's own lint
#   make sandbox bubblewrap, in which what a model wrote is evaluated, where it may be installed
#   make models  the tests that run a real language model
#   make cluster the tests on a real Slurm, started on this machine where it may be installed
#   make lock    newest versions of every dependency into envs/
#   make clean   remove the environments (results stay)

export PYTHON ?= $(shell command -v python3.11 || command -v python3)
STUDY ?= config/study.yaml

CPU := .venv/.cpu
MODELS := .venv/.models
TEST := .venv-test/.test
CLUSTER := .venv-cluster/.cluster
INSTALL := envs/install.sh

.PHONY: demo setup test slow models cluster sandbox lint lock clean

demo: $(CPU)
	.venv/bin/itscale run $(STUDY)

setup: $(CPU)

test: $(TEST)
	.venv-test/bin/pytest --numprocesses 2 --dist loadgroup

slow: $(TEST)
	.venv-test/bin/pytest -m slow --numprocesses 2 --dist loadgroup

models: $(MODELS)
	.venv/bin/pytest -m "(vllm or hub) and not slow"

cluster: $(CLUSTER)
	tests/cluster/install.sh
	.venv-cluster/bin/pytest -m cluster tests/cluster

sandbox:
	@envs/sandbox.sh

lint: $(TEST)
	.venv-test/bin/ruff check .
	.venv-test/bin/ruff format --check .
	.venv-test/bin/mypy
	.venv-test/bin/snakefmt --check Snakefile workflow
	.venv-test/bin/snakemake --lint

lock:
	$(PYTHON) envs/lock.py

clean:
	rm -rf .venv .venv-test .venv-cluster .venv-lock

# A stamp is newer than what it was made from: a second call installs nothing.
$(CPU): envs/cpu.lock $(INSTALL) envs/uv pyproject.toml
	@echo "Setting up .venv (language models on the CPU) ..."
	$(INSTALL) .venv envs/cpu.lock
	@touch $@

$(MODELS): $(CPU) envs/test.lock
	$(INSTALL) .venv envs/cpu.lock envs/test.lock
	@touch $@

$(TEST): envs/core.lock envs/test.lock $(INSTALL) envs/uv pyproject.toml
	@echo "Setting up .venv-test ..."
	$(INSTALL) .venv-test envs/core.lock envs/test.lock
	@touch $@

$(CLUSTER): envs/slurm.lock envs/test.lock $(INSTALL) envs/uv pyproject.toml
	@echo "Setting up .venv-cluster ..."
	$(INSTALL) .venv-cluster envs/slurm.lock envs/test.lock
	@touch $@
