# What a developer and CI run. `make test` on a fresh Debian 12 does everything: environment, servers, lint, types, tests.
# DBWATCH_REQUIRE=all turns "server missing: skipped" into a failure; PYTEST_ARGS and ARGS are passed on.

SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST ?= $(BIN)/python -m pytest
PYTEST_ARGS ?=
# The tests wait for servers more than they compute: four workers keep two cores busy.
WORKERS ?= 4
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help venv servers test test-all unit lint format demo render bench clean lock

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

venv: $(VENV)/.stamp ## .venv with the locked dependencies and dbwatch, editable

$(VENV)/.stamp: requirements-dev.lock pyproject.toml
	@if ! $(PYTHON) -c 'import ensurepip' 2>/dev/null; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends python3-venv </dev/null; \
	  else echo 'make venv: $(PYTHON) has no ensurepip; install python3-venv' >&2; exit 1; fi; fi
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

servers: venv ## the servers the tests start, where they are missing
	$(BIN)/python -m tests.harness.install

lint: venv ## ruff and mypy
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: venv ## let ruff mend what it can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

test: venv servers lint ## everything CI runs
	$(PYTEST) -n $(WORKERS) --dist loadscope $(PYTEST_ARGS)

test-all: export DBWATCH_CASES := all
test-all: test ## and every case on every version of the servers, which CI leaves out

unit: venv ## the tests that need no server
	$(PYTEST) -n 2 tests/unit $(PYTEST_ARGS)

demo: venv ## a PostgreSQL and a Redis with planted faults, watched live (ARGS=--once)
	$(BIN)/dbwatch demo $(ARGS)

render: venv ## write alerts, dashboards and check pages from the catalogue
	$(BIN)/dbwatch render --prune $(ARGS)

bench: venv servers ## what the monitor costs
	$(PYTEST) tests/bench -p no:xdist -s $(PYTEST_ARGS)

# The extra `dev` names dbwatch[demo]: the project itself is the one package that the lock leaves out. async-timeout is what
# redis-py asks for below Python 3.11.3 (Debian 12 has 3.11.2); a newer Python that compiles the lock would leave it out.
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header $(ARGS) pyproject.toml

lock: venv ## the lock files from pyproject.toml, for every Python and platform (ARGS=--upgrade)
	$(LOCK) -o requirements.lock
	$(LOCK) --extra dev -o requirements-dev.lock

clean: ## what was built or cached here (not the servers)
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
