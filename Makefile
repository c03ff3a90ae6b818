# The commands of a working day. `make` alone lists them.
#
#   make PYTHON=python3.12 demo     another Python for a new environment
#   make test ARGS="-k cube -x"     arguments for pytest
#   make test WORKERS=8             tests side by side; 0 for none, as a debugger needs it

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
PIP    := -m pip -qq --disable-pip-version-check --no-input
ARGS   ?=
WORKERS ?= 2

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test oracle check format notebooks docs constraints clean $(VENV)

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z$$()A-Z.]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(STAMP) ## the sample study: pictures, a table, a map in runs/demo
	@$(BIN)/soundit-geo demo --out runs/demo

test: $(STAMP) ## all tests
	@OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal \
	  --nbmake --nbmake-timeout=900 tests notebooks $(ARGS)

oracle: $(STAMP) ## compare the encoders with the reference packages, in an environment of their own
	@.ci/oracle $(ARGS)

check: $(STAMP) ## style, types, import rules, docstrings
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python .ci/docstrings.py soundit_geo

format: $(STAMP) ## let ruff rewrite what it can
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

notebooks: $(STAMP) ## run the notebooks from top to bottom
	@$(BIN)/python -m pytest --nbmake --nbmake-timeout=900 notebooks $(ARGS)

docs: $(STAMP) runs/demo/map.html ## the documentation site in build/docs, with the notebooks run and the demo map
	@rm -rf build/docs docs/api/generated
	@$(BIN)/python -m sphinx -c docs -d build/doctrees -W --keep-going -q . build/docs
	@echo build/docs/index.html

runs/demo/map.html: | $(STAMP)
	@$(BIN)/soundit-geo demo --out runs/demo

$(VENV): $(STAMP) ;@:

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "soundit-geo needs Python 3.11 or newer; $(PYTHON) is: $$($(PYTHON) --version 2>&1 | tail -n 1)." >&2; \
	  echo "Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { \
	  rm -rf $(VENV); echo "$(PYTHON) cannot make environments. On Debian: apt-get install python3-venv" >&2; exit 1; }
	@echo "Installing into $(VENV), once: about 7 GB, some minutes."
	@$(BIN)/python $(PIP) install --root-user-action=ignore -c constraints.txt -e ".[dev]"
	@touch $@

constraints: ## write constraints.txt anew from what pip resolves today
	@rm -rf build/constraints && $(PYTHON) -m venv build/constraints
	@build/constraints/bin/python $(PIP) install --root-user-action=ignore -e ".[dev]"
	@grep '^#' constraints.txt > build/constraints.txt
	@build/constraints/bin/python -m pip --disable-pip-version-check list --format=freeze \
	  --exclude pip --exclude setuptools --exclude soundit-geo | LC_ALL=C sort -f >> build/constraints.txt
	@! grep -E '[+@]' build/constraints.txt || { echo "a version that PyPI does not have" >&2; exit 1; }
	@mv build/constraints.txt constraints.txt && rm -rf build/constraints

clean: ## remove what the commands above made, but for the environment
	@rm -rf .venv-oracle runs/demo build docs/api/generated dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -path ./$(VENV) -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
