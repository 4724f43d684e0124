# Everything runs from .venv, which `make setup` makes; `make` alone lists the targets.

VENV   := .venv
BIN    := $(VENV)/bin
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	"$$p" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo "$$p"; break; }; \
	done)

PYTEST_ARGS    ?=
# Every worker reads all tests and makes its own accounts, so that more of them take more processor time in all.
PYTEST_WORKERS ?= auto
# Commands make up to sixteen threads each; an arena of memory for each of them would never be given back. The processes that
# tests start would compile the same code again and again where the environment forbids to keep it.
STEADY         := MALLOC_ARENA_MAX=2 PYTHONDONTWRITEBYTECODE=

.DEFAULT_GOAL := help
.PHONY: help setup dev tested demo test test-fast test-long cover lint types fmt schemas docs policies schema-check wheel-check all lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.installed ## make .venv with the `reconcile` command in it
	@:

dev: $(VENV)/.developed ## the same with everything that `make test` and `make lint` need
	@:

tested: $(VENV)/.tested
	@:

# A stamp is a copy of what was installed from, so that a mere change of time stamps asks nothing of the network.
$(VENV)/.installed: pyproject.toml constraints.txt
	@cat $^ | cmp -s - $@ && [ -x $(BIN)/reconcile ] || tools/install.sh $(VENV) sandbox "$(PYTHON)"
	@cat $^ > $@

$(VENV)/.developed: pyproject.toml constraints.txt
	@cat $^ | cmp -s - $@ && [ -x $(BIN)/pytest ] || tools/install.sh $(VENV) dev "$(PYTHON)"
	@cat $^ | tee $(VENV)/.installed $(VENV)/.tested > $@

$(VENV)/.tested: pyproject.toml constraints.txt
	@cat $^ | cmp -s - $@ && [ -x $(BIN)/pytest ] || tools/install.sh $(VENV) test "$(PYTHON)"
	@cat $^ | tee $(VENV)/.installed > $@

demo: setup ## the sandbox, and one environment through plan, apply, drift, a job and destroy
	@PATH="$(CURDIR)/$(BIN):$$PATH" tools/demo.sh

test: tested ## the test suite, a few minutes; PYTEST_ARGS="-k queue -x" narrows it
	$(STEADY) $(BIN)/pytest -n $(PYTEST_WORKERS) --maxprocesses 4 --dist loadfile $(PYTEST_ARGS)

test-fast: tested ## what needs no account, a minute: to run while working
	$(BIN)/pytest -q -m "not long and not account" tests/config tests/schema tests/checks tests/planning tests/render \
		tests/kinds tests/model tests/applying/test_executor.py tests/properties/test_documents.py \
		tests/test_wording.py tests/test_documents.py $(PYTEST_ARGS) \
		--ignore=tests/schema/test_editor.py --ignore=tests/render/test_page.py --ignore=tests/kinds/test_pairs.py

test-long: tested ## every test, properties and stories in their long forms, hours: nightly and on request
	TEST_LONG=1 $(STEADY) $(BIN)/pytest -n $(PYTEST_WORKERS) --maxprocesses 8 -m "long or not long" $(PYTEST_ARGS)

cover: dev ## the test suite with branch coverage
	$(BIN)/coverage run --branch --source reconciler -m pytest $(PYTEST_ARGS)
	$(BIN)/coverage report --skip-covered --show-missing

lint: dev ## style, formatting, import rules, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

types: dev ## mypy alone
	$(BIN)/mypy

fmt: dev ## rewrite the code as `make lint` wants it
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

schemas: setup ## regenerate the schema for editors from those of the kinds
	$(BIN)/python -m tools.schemas

docs: setup ## regenerate docs/errors.md, docs/reference/, the table of docs/why.md and GitLab's component from what they are about
	$(BIN)/python -m tools.errors_doc
	$(BIN)/python -m tools.why_doc
	$(BIN)/python -m tools.reference_doc
	$(BIN)/python -m tools.gitlab_component

policies: setup ## regenerate the policies of environments/ci-roles from the environments
	@$(BIN)/reconcile permissions --all --for drift --format yaml --out-dir environments/ci-roles
	@$(BIN)/reconcile permissions --all --except ci-roles --for apply --format yaml --out-dir environments/ci-roles

schema-check: dev ## the schemas against the kinds and their examples, and the environments against the schemas
	$(BIN)/pytest -q tests/schema tests/kinds/test_contract.py tests/stories/test_environments.py $(PYTEST_ARGS)

wheel-check: ## build the wheel, and try it in an empty environment without and with the sandbox
	@if [ -x $(BIN)/python ]; then python=$(BIN)/python; else python="$(PYTHON)"; fi; tools/check_wheel.sh "$$python"

all: lint test wheel-check ## what CI runs

lock: dev ## regenerate constraints.txt from the packages in .venv
	@{ head -n 1 constraints.txt; $(BIN)/python -m pip freeze --exclude-editable --disable-pip-version-check; } > $(VENV)/lock
	@mv $(VENV)/lock constraints.txt

clean: ## remove .venv and everything that tools leave behind
	rm -rf $(VENV) build dist .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
