# Everything runs from .venv, which `make setup` makes; `make` alone lists the targets.

VENV   := .venv
BIN    := $(VENV)/bin
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	"$$p" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo "$$p"; break; }; \
	done)

PYTEST_ARGS    ?=
PYTEST_WORKERS ?= auto
# Commands make up to sixteen threads each; an arena of memory for each of them would never be given back.
STEADY         := MALLOC_ARENA_MAX=2

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-fast test-long cover lint types fmt schemas schema-check all lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.installed ## make .venv with the `reconcile` command in it
	@:

# The stamp is a copy of what was installed from, so that a mere change of time stamps asks nothing of the network.
$(VENV)/.installed: pyproject.toml constraints.txt
	@if cat $^ | cmp -s - $@ && [ -x $(BIN)/reconcile ]; then touch $@; exit 0; fi; \
	if [ ! -x $(BIN)/python ]; then \
		if [ -z "$(PYTHON)" ]; then \
			echo "reconcile needs Python 3.11 or newer, with its venv module, and found none as python3.13, python3.12," >&2; \
			echo "python3.11, python3 or python. Install one (Debian, Ubuntu: apt-get install python3 python3-venv)," >&2; \
			echo "or say where it is: make setup PYTHON=/path/to/python3" >&2; \
			exit 1; \
		fi; \
		echo "making $(VENV) with $$($(PYTHON) --version)"; \
		$(PYTHON) -m venv $(VENV) || exit 1; \
	fi; \
	echo "installing into $(VENV) (a minute or two, once)"; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]' && \
	$(BIN)/python -m compileall -q reconciler && cat $^ > $@

demo: setup ## the sandbox, and one environment through plan, apply, drift and destroy
	@PATH="$(CURDIR)/$(BIN):$$PATH" tools/demo.sh

test: setup ## the test suite, a few minutes; PYTEST_ARGS="-k queue -x" narrows it
	$(STEADY) $(BIN)/pytest -n $(PYTEST_WORKERS) --maxprocesses 8 --dist loadfile $(PYTEST_ARGS)

test-fast: setup ## what needs no account, a minute: to run while working
	$(BIN)/pytest -q -m "not long and not account" tests/config tests/schema tests/checks tests/planning tests/render \
		tests/kinds tests/applying/test_executor.py tests/properties/test_documents.py $(PYTEST_ARGS)

test-long: setup ## the long forms of properties and stories, hours: nightly and on request
	TEST_LONG=1 $(STEADY) $(BIN)/pytest -n $(PYTEST_WORKERS) --maxprocesses 8 -m "slow or long" $(PYTEST_ARGS)

cover: setup ## the test suite with branch coverage
	$(BIN)/coverage run --branch --source reconciler -m pytest $(PYTEST_ARGS)
	$(BIN)/coverage report --skip-covered --show-missing

lint: setup ## style, formatting, import rules, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

types: setup ## mypy alone
	$(BIN)/mypy

fmt: setup ## rewrite the code as `make lint` wants it
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

schemas: setup ## write the schema for editors anew, from those of the kinds
	$(BIN)/python -m tools.schemas

schema-check: setup ## the schemas against the kinds and their examples, and the environments against the schemas
	$(BIN)/pytest -q tests/schema tests/kinds/test_contract.py tests/stories/test_environments.py $(PYTEST_ARGS)

all: lint test ## what CI runs

lock: setup ## write constraints.txt anew, from what .venv holds
	@{ head -n 1 constraints.txt; $(BIN)/python -m pip freeze --exclude-editable --disable-pip-version-check; } > $(VENV)/lock
	@mv $(VENV)/lock constraints.txt

clean: ## remove .venv and everything that tools leave behind
	rm -rf $(VENV) build dist .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
