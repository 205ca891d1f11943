# Ten verbs. Each does its own set-up; `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := $(shell find comic_ocr -name '*.py') pyproject.toml constraints.txt

.PHONY: help demo test check unit contract integration test-engines format bench docs clean
.DEFAULT_GOAL := help

help: ## list the verbs
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 14

$(BIN)/python:
	@.ci/make-venv "$(PYTHON)" "$(VENV)"

# The base install, which is all that the main job needs.
$(VENV)/.base: $(BIN)/python $(SOURCES)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt .
	@touch $@

# Everything that tests need; they run on the installed package, as users have it.
$(VENV)/.dev: $(BIN)/python $(SOURCES)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt ".[dev]"
	@.ci/install-tesseract
	@touch $@ $(VENV)/.base

demo: $(VENV)/.base ## draw a small comic, read it on Lithops localhost, compare
	$(BIN)/batch_ocr demo

test: check unit contract integration ## everything that must pass

check: $(VENV)/.dev ## lint, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit contract integration: $(VENV)/.dev ## one kind of tests
	$(BIN)/pytest tests/$@

# Engines whose packages do not fit beside the others, each with versions of its own: a newer torch
# may bring gigabytes of CUDA.
.venv-%/.installed: $(SOURCES) constraints-%.txt
	@.ci/make-venv "$(PYTHON)" .venv-$*
	.venv-$*/bin/python -m pip install --quiet --constraint constraints-$*.txt ".[$*]" pytest
	@touch $@

test-engines: .venv-easyocr/.installed .venv-paddle/.installed ## heavy engines, in their own environments, with their figures
	.venv-easyocr/bin/pytest -rP tests/engines/test_easyocr.py
	.venv-paddle/bin/pytest -rP tests/engines/test_paddle.py

format: $(VENV)/.dev ## rewrite the code in the house's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.dev ## accuracy and overhead on drawn pages, a few minutes
	$(BIN)/batch_ocr demo --folder build/bench
	$(BIN)/python benchmarks/accuracy.py build/bench/pages
	$(BIN)/python benchmarks/overhead.py

docs: $(VENV)/.dev ## rewrite the pages of docs/reference that come from the code
	$(BIN)/python docs/generate.py

clean: ## remove what the verbs made
	rm -rf $(VENV) .venv-easyocr .venv-paddle build dist demo_output *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
