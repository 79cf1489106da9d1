# Needs Python 3.11 or newer and nothing else; takes `uv` when it is there, because it installs faster.
#   make demo    a real model thinks and answers, on this machine
#   make test    everything: unit, contract, real models, documents
#   make check   ruff, pyright, import-linter
#   make bench   the tables of README

.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
UV := $(shell command -v uv 2>/dev/null)

ifdef UV
INSTALL := $(UV) pip install --quiet --python $(BIN)/python --constraint requirements.lock
else
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint requirements.lock
endif

QUESTION ?= A farmer has 17 sheep. All but 9 run away, then he buys twice as many as he has left. How many sheep has he now?

.PHONY: help
help:
	@sed -n 's/^#   //p' $(firstword $(MAKEFILE_LIST))

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "error: Python 3.11 or newer is needed; name it with PYTHON=…" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml requirements.lock | $(BIN)/python
	@echo "installing bethink into $(VENV) …"
	@$(INSTALL) --editable .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml requirements.lock | $(BIN)/python
	@echo "installing bethink, its engines and its tools into $(VENV) …"
	@$(INSTALL) --editable '.[llamacpp,postgres,otel,eval,clients,dev]'
	@touch $@ $(VENV)/.installed

.PHONY: install dev
install: $(VENV)/.installed
dev: $(VENV)/.installed-dev

.PHONY: demo
demo: $(VENV)/.installed
	$(BIN)/bethink ask "$(QUESTION)"
	@echo; echo "In the browser: $(BIN)/bethink serve, then http://127.0.0.1:8114"

.PHONY: test
test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest --cov --cov-report=term $(PYTEST_ARGS)

.PHONY: check lint types layers
check: lint types layers

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev
	$(BIN)/pyright --pythonpath $(BIN)/python

layers: $(VENV)/.installed-dev
	$(BIN)/lint-imports

.PHONY: format
format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

MODEL ?= qwen2.5-coder:0.5b

.PHONY: bench
bench: $(VENV)/.installed-dev  # with BETHINK_GSM8K=…/train.jsonl also what needs questions; the vote takes an hour
	$(BIN)/python bench/start.py --model $(MODEL)
	$(BIN)/python bench/speed.py --model $(MODEL)
	$(BIN)/python bench/humaneval.py --model $(MODEL)
ifdef BETHINK_GSM8K
	$(BIN)/python bench/contract.py --model $(MODEL)
	$(BIN)/python bench/accuracy.py --model $(MODEL)
	$(BIN)/python bench/voting.py sample --model $(MODEL) --out votes
	$(BIN)/python bench/voting.py replay votes
	$(BIN)/python bench/calibrated.py votes
endif

.PHONY: page
page: $(VENV)/.installed-dev  # the chat page, from web/ into the package; commit what it builds
	$(BIN)/python web/build.py

.PHONY: pictures  # of the page, for the guide, while `bethink serve` runs
pictures: $(VENV)/.installed-dev
	$(BIN)/python docs/take_pictures.py

.PHONY: docs
docs: $(VENV)/.installed-dev
	$(BIN)/python docs/generate_cli.py

.PHONY: lock  # the newest versions that work together, from a clean environment
lock:
	rm -rf $(VENV)-lock && $(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/pip install --quiet --no-compile '.[llamacpp,postgres,otel,eval,clients,dev]'
	{ head -2 requirements.lock; $(VENV)-lock/bin/pip freeze --exclude bethink; } > requirements.lock.new
	mv requirements.lock.new requirements.lock && rm -rf $(VENV)-lock
