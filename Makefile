# Two commands for everyone: `make demo` and `make test`. Both set themselves up in .venv.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
DEV    := $(VENV)/.ready-dev
JOBS   ?= logical
PIP    := $(PYTHON) -m pip --python $(BIN)/python --disable-pip-version-check

.PHONY: demo test check bench faults booted release image format lock setup clean help

help:  ## say what the targets do
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

demo: setup  ## the whole loop on a year of real flights; in a terminal it asks, elsewhere it tells
	@$(BIN)/healerd demo

test: $(DEV)  ## every test, on every core (ARGS=PATH: some of them; JOBS=0: in one process)
	@$(BIN)/python -m pytest -n $(JOBS) --maxprocesses 8 --dist loadfile $(ARGS)

check: $(DEV)  ## format, lint, types, import contracts, documentation
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest -q tests/house
	@$(BIN)/python -m tests.release.audited

bench: $(DEV)  ## every speed claim, as a ratio against a named peer
	@$(BIN)/python -m experiments.bench $(ARGS)

faults: $(DEV)  ## every fault in its long form (hours; ARGS=--quick takes minutes)
	@$(BIN)/python -m experiments.faults $(ARGS)

booted: $(DEV)  ## the service under a real systemd, on a small Debian made and booted for it (root; a quarter of an hour)
	@$(BIN)/python -m tests.booted $(ARGS)

release: $(DEV)  ## wheel, sdist and bill of materials in dist/, tried on every Python that is here (ARGS=--bare: built alone)
	@$(BIN)/python -m tests.release $(ARGS)

image: $(DEV)  ## the container's image built with podman and tried, claim by claim (ARGS=--stand-in: without pulling its base)
	@$(BIN)/python -m tests.image $(ARGS)

format: $(DEV)  ## format and mend what ruff can mend
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

lock:  ## pin the dependencies anew (needs uv)
	uv pip compile pyproject.toml build.in $(PINS) -o requirements.lock
	uv pip compile pyproject.toml build.in --all-extras --group dev -c requirements.lock $(PINS) -o requirements-dev.lock

PINS := --generate-hashes --universal --python-version 3.11 --no-header --no-annotate

setup: $(READY)

# Made without ensurepip, so that a bare distribution Python is enough. The locks have hashes, so what is
# installed is what was tested. The program alone is a smaller download than what its tests need besides.
$(READY): requirements.lock pyproject.toml
	@echo "setting up $(VENV) (once; under a minute on a warm cache)"
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "healerd needs Python 3.11 or newer; name one with `make PYTHON=python3.12`")'
	@$(PYTHON) -m venv --without-pip $(VENV)
	@$(PIP) install -qq --require-hashes -r requirements.lock
	@$(PIP) install -qq --no-deps --no-build-isolation -e .
	@touch $(READY)

$(DEV): $(READY) requirements-dev.lock
	@echo "adding what the tests need to $(VENV) (once)"
	@$(PIP) install -qq --require-hashes -r requirements-dev.lock
	@touch $(DEV)

clean:  ## remove what was set up and made
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
