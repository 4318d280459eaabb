# make run | test | check | quality | voice-*: each from a fresh clone, in a virtual environment
# of its own. Python 3.11 or later, make, and for the end-to-end tests root on Debian.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# A plain `torch` brings gigabytes of GPU libraries. Name another build here to use a GPU.
TORCH ?= torch==2.13.0
DATA ?= ../shared/data

.PHONY: help run test check unit e2e quality quality-voice bench-alerts clean

help:
	@echo "make run      start the service on this machine"
	@echo "make test     all tests (installs Debian packages for the end-to-end ones)"
	@echo "make check    lint, types and import contracts"
	@echo "make unit     the tests that need no Debian package"
	@echo "make quality  accuracy on the development data in DATA"
	@echo "make bench-alerts  seconds from the end of a window to a webhook, 10 calls at once"
	@echo "make voice-data | voice-train | voice-export | voice-score | voice-evaluate | voice-floor | voice-policy"

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(BIN)/python pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	touch $@

# torch first and by exact version: whatever comes later is then satisfied with it.
$(VENV)/.dev: $(BIN)/python pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check "$(TORCH)"
	$(BIN)/pip install --quiet --disable-pip-version-check --editable ".[dev,train]"
	touch $@

run: $(VENV)/.run
	$(BIN)/deepfake-monitor serve

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: $(VENV)/.dev
	$(BIN)/python -m pytest tests/unit tests/flow tests/rules

e2e: $(VENV)/.dev
	sh tests/e2e/rig/install_packages.sh
	$(BIN)/python -m tests.e2e.rig.recordings
	sh tests/e2e/rig/in_namespace.sh $(BIN)/python -m pytest tests/e2e

test: check unit e2e
	@echo "all tests have passed"

quality quality-voice: $(VENV)/.dev
	MONITOR_SPEECH_DATA=$(DATA)/speech $(BIN)/python -m pytest tests/quality

# A measurement of this machine; BENCH takes options such as --calls 4 --rounds 1.
bench-alerts: $(VENV)/.dev
	$(BIN)/python -m benchmarks.alert_latency $(BENCH)

voice-data voice-train voice-export voice-score voice-evaluate voice-floor voice-policy: $(VENV)/.dev
	$(BIN)/python -m monitor.training $@

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
