# make run   start everything and print the address
# make test  format, lint, import rules, types, and every rule once (FULL=1: at every setting)
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# A package index for torch alone; the CPU build is a tenth of the size of the default one:
#   make setup TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=

.PHONY: help setup run test lint unit format lock audit clean

help:
	@sed -n 's/^# make/make/p' Makefile

setup: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "CAAT Studio needs Python 3.11 or newer; set PYTHON=")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) torch torchvision
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

run: setup
	$(BIN)/caat up

test: lint unit

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy

# One thread a process; three of them fill two cores, as many tests wait for what they started.
unit: setup
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 3 --dist worksteal $(if $(FULL),,--short)

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

# Pins for Python 3.11 to 3.14 in one file: markers say which of them needs what. What is pinned stays;
# RENEW=1 takes the newest of everything but torch. The parts of CUDA are torch's own to pin.
UV ?= uv
lock:
	@command -v $(UV) >/dev/null || { echo "make lock: needs uv: pip install uv, or UV=PATH"; exit 2; }
	grep -E '^($(if $(RENEW),torch|torchvision,.*))==' constraints.txt > .constraints.kept
	$(UV) pip compile pyproject.toml --extra dev --universal --python-version 3.11 --quiet \
	  --no-annotate --no-header --constraint .constraints.kept > .constraints.new
	{ sed -n '/^#/p' constraints.txt; grep -vE '^(nvidia-[cn]|cuda-|triton)' .constraints.new; } > .constraints.kept
	mv .constraints.kept constraints.txt
	rm -f .constraints.new

# Known vulnerabilities of the pins: asks pypi.org, so it needs the internet.
audit:
	@command -v pip-audit >/dev/null || { echo "make audit: needs pip-audit: pip install pip-audit"; exit 2; }
	pip-audit --requirement constraints.txt --no-deps --disable-pip --progress-spinner off
