PYTHON ?= python3
WORKERS := -n auto --maxprocesses 4 --dist loadscope --no-loadscope-reorder
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
INSTALLED_DOCS := $(VENV)/.installed_docs

.DEFAULT_GOAL := help
.PHONY: help install run test test-all ui lint format schemas docs pictures notebook clean

help: ## Show the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(INSTALLED) ## Make .venv and install crackexp with its tools into it

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --upgrade pip
	$(BIN)/python -m pip install --constraint constraints.txt --editable '.[dev]'
	touch $@

run: install ## Train, test and log the main job on the drawn dataset
	$(BIN)/crackexp train +experiment=mobilenet

test: install ## Run the quick tests
	$(BIN)/python -m pytest $(WORKERS) -m "not slow and not browser"

test-all: install ## Run all tests, slow and browser ones too
	$(BIN)/python -m pytest

ui: install ## Open the MLflow UI on http://127.0.0.1:5000
	$(BIN)/crackexp ui

lint: install ## Check style, format, types, dependencies
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m mypy
	$(BIN)/deptry .
	$(BIN)/lint-imports

format: install ## Mend style and format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

schemas: install ## Write JSON Schemas of the configs to .schemas, which .vscode/settings.json names
	$(BIN)/python -m crackexp.config.json_schema .schemas

docs: $(INSTALLED_DOCS) ## Build the documentation site in build/site, and check its links
	rm -rf build/site build/doctrees
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going --conf-dir docs --doctree-dir build/doctrees . build/site

pictures: install ## Make the pictures of README and docs anew, or some: make pictures PICTURES="survey audit"
	$(BIN)/python -m docs.pictures.make $(PICTURES)

$(INSTALLED_DOCS): $(INSTALLED)
	$(BIN)/python -m pip install --constraint constraints.txt --editable '.[docs]'
	touch $@

notebook: install ## Execute the notebook of the docs, and keep its outputs
	$(BIN)/python docs/execute_notebook.py

clean: ## Remove what runs and tools left behind, but not mlruns
	rm -rf outputs multirun build dist docs/reference .schemas .pytest_cache .ruff_cache .mypy_cache .cache
