# `make` lists the targets.
VENV ?= .venv
# Tests run one thread each; a file's stay together, so that what it prepares is prepared once. Bytecode is kept even if the
# variable says otherwise, for many processes import the same modules.
PYTEST = PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --numprocesses auto --maxprocesses 8 --dist loadfile
PYTHON ?= python3
BIN = $(VENV)/bin
ARGS ?= loss=ns +mse=1
# Index of torch and torchvision: CPU=1 takes builds without CUDA, which are 4 GB smaller.
CPU_INDEX = https://download.pytorch.org/whl/cpu

.DEFAULT_GOAL := help
.PHONY: help install run test quick mutants figures lint clean

help: ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(BIN)/.installed ## a virtual environment in $(VENV) with the tested versions; CPU=1: torch without CUDA

$(BIN)/.installed: pyproject.toml setup.py constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(if $(CPU),$(BIN)/pip install --quiet --constraint constraints.txt --no-deps --index-url $(CPU_INDEX) torch torchvision)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

run: install ## install and train: make run ARGS="loss=hinge +mse=1 +r1=10"
	$(BIN)/python scripts/train.py $(ARGS)

test: install ## install and run all tests, the slow ones included
	$(PYTEST)

quick: install ## the tests without the slow ones
	$(PYTEST) -m "not slow"

mutants: install ## change the code in 450 places, one at a time, and see which changes no test notices (an hour)
	$(BIN)/python tests/mutants/sample.py

figures: install ## the gallery of docs/theory.md, into docs/figures/theory
	$(BIN)/python scripts/figures

lint: install ## ruff, mypy and import-linter
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports

clean: ## remove the virtual environment and caches, keep outputs
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis
