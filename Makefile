# make run | test | check | quality | voice-*: each from a fresh clone, in a virtual environment
# of its own. Python 3.11 or later, make, and for the end-to-end tests root on Debian.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# A plain `torch` brings gigabytes of GPU libraries. Name another build here to use a GPU.
TORCH ?= torch==2.13.0
# The versions that the tests ran with. `make LOCK= run` takes whatever the index has.
LOCK ?= constraints.txt
DATA ?= ../shared/data
# Seconds that each parser is fuzzed for.
FUZZ ?= 60
# Processes that run tests at once. They wait most of the time, the end-to-end ones for media, each in a
# network of its own: with two of either, two cores are idle for more than half of the time.
WORKERS ?= 4
E2E_WORKERS ?= 3

# The tests start the service over a hundred times: it need not be compiled each time.
unexport PYTHONDONTWRITEBYTECODE

PIP_INSTALL := pip install --quiet --disable-pip-version-check
LOCKED := $(BIN)/$(PIP_INSTALL) $(if $(LOCK),--constraint $(LOCK))
PYTEST := $(BIN)/python -m pytest
UNIT := tests/unit tests/flow tests/rules
PART := sh tests/part.sh
NAMESPACE := sh tests/e2e/rig/in_namespace.sh

.PHONY: help run test lock references check lint types contracts unit e2e peers soak bench-clock bench-loss packages recordings quality quality-voice quality-face bench bench-alerts bench-console bench-voice bench-face fuzz clean

help:
	@echo "make run      start the service on this machine"
	@echo "make test     all tests (installs Debian packages for the end-to-end ones)"
	@echo "make check    lint, types and import contracts"
	@echo "make lock     write constraints.txt anew: the newest versions that pyproject.toml allows"
	@echo "make references  write docs/api.md, docs/metrics.md and the dashboards from the code"
	@echo "make unit     the tests that need no Debian package"
	@echo "make peers    peers that are made with npm, or brought along (tests/peers)"
	@echo "make bench-loss what lost packets do to the scores of genuine speech"
	@echo "make bench-clock where sound is placed, beside GStreamer's jitter buffer"
	@echo "make soak     calls that come and go for half an hour: memory, threads, the event loop"
	@echo "make fuzz     throw bytes at every parser, FUZZ seconds each (60)"
	@echo "make quality  accuracy on the development data in DATA"
	@echo "make bench    how many calls of each kind this machine holds (half an hour)"
	@echo "make bench-alerts  seconds from the end of a window to a webhook, 10 calls at once"
	@echo "make bench-face   CPU time of each face's parts, beside a voice window"
	@echo "make bench-console what an open console costs the service, 20 calls at once"
	@echo "make bench-voice  CPU time of the voice scorer per window"
	@echo "make voice-data | voice-train | voice-export | voice-score | voice-evaluate | voice-floor | voice-ablate | voice-denoised | voice-codecs | voice-policy"
	@echo "make face-crops | face-twins | face-looks | face-train | face-export | face-evaluate | face-survival | face-ablate | face-cues"

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(BIN)/python pyproject.toml $(LOCK)
	$(LOCKED) --editable .
	touch $@

# torch first and by exact version: whatever comes later is then satisfied with it.
$(VENV)/.dev: $(BIN)/python pyproject.toml $(LOCK)
	$(LOCKED) "$(TORCH)"
	$(LOCKED) --editable ".[dev,train]"
	touch $@

# Newer versions, within pyproject.toml: made in an environment of its own, to be tested and kept.
# Of a build for one processor (`+cpu`) the plain version is written: other machines have others.
lock:
	rm -rf build/lock
	$(PYTHON) -m venv build/lock
	build/lock/bin/$(PIP_INSTALL) "$(TORCH)"
	build/lock/bin/$(PIP_INSTALL) --editable ".[dev,train]"
	build/lock/bin/pip --disable-pip-version-check freeze --all --exclude-editable \
		| grep -v '^pip==' | sed 's/+.*//' >constraints.txt

run: $(VENV)/.run
	$(BIN)/deepfake-monitor serve

# What the repository holds for readers and Grafana, written from the code.
references: $(VENV)/.dev
	$(BIN)/python -m docs.build
	$(BIN)/python -m deploy.grafana.build

# In parts that may run at once.
check: lint types contracts

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.dev
	$(BIN)/mypy

contracts: $(VENV)/.dev
	$(BIN)/lint-imports

# Tests marked `alone` measure time: they run when no others do, and as they mostly wait, two files at
# a time. One thread for each process: torch's own threads would wait for each other's cores.
unit: $(VENV)/.dev
	OMP_NUM_THREADS=1 $(PART) unit $(PYTEST) $(UNIT) -m "not alone" -n $(WORKERS) --dist worksteal
	OMP_NUM_THREADS=1 $(PART) unit-alone $(PYTEST) $(UNIT) -m alone -n 2 --dist loadfile

e2e: $(VENV)/.dev packages recordings
	@$(NAMESPACE) true
	$(PART) e2e $(PYTEST) tests/e2e -m "not alone" --dist loadfile --no-loadscope-reorder \
		--tx "$(E2E_WORKERS)*popen//python=$(NAMESPACE) $(BIN)/python"
	$(PART) e2e-alone $(NAMESPACE) $(PYTEST) tests/e2e -m alone

# Needs node and npm, which `make test` does not.
peers: $(VENV)/.dev packages recordings
	npm --prefix tests/peers/npm ci --no-audit --no-fund
	AUDIOHOOK="$(AUDIOHOOK)" OPENSIPS="$(OPENSIPS)" $(NAMESPACE) $(PYTEST) tests/peers

packages:
	sh tests/e2e/rig/install_packages.sh

recordings: $(VENV)/.dev packages
	$(BIN)/python -m tests.e2e.rig.recordings

# What only waits for the network, and what keeps one core busy, goes two at a time; tests do not
# share the machine with anything else.
test:
	@rm -f build/parts.txt; trap 'echo; cat build/parts.txt' EXIT; set -e; \
	$(PART) install $(MAKE) -j2 --output-sync=target $(VENV)/.dev packages; \
	$(PART) check $(MAKE) -j2 --output-sync=target check recordings; \
	$(MAKE) unit; \
	$(MAKE) e2e; \
	echo "all tests have passed"

quality: quality-voice quality-face

quality-voice: $(VENV)/.dev
	MONITOR_SPEECH_DATA=$(DATA)/speech $(PYTEST) tests/quality/test_voice.py

quality-face: $(VENV)/.dev
	MONITOR_FACE_DATA=$(DATA)/faces $(PYTEST) tests/quality/test_face.py

$(VENV)/.fuzz: $(VENV)/.dev
	$(LOCKED) --editable ".[fuzz]"
	touch $@

fuzz: $(VENV)/.fuzz
	$(BIN)/python -m tests.fuzz $(FUZZ)

# A film of a talking person is made of the end-to-end tests' recordings.
bench: $(VENV)/.dev packages recordings
	$(BIN)/deepfake-monitor bench --out build/bench $(BENCH) \
		--film "$$($(BIN)/python -c 'from tests.e2e.rig.recordings import Recordings; print(Recordings().person("human-en", 18))')"

# A measurement of this machine; BENCH takes options such as --calls 4 --rounds 1.
bench-alerts: $(VENV)/.dev
	$(BIN)/python -m benchmarks.alert_latency $(BENCH)

bench-face: $(VENV)/.dev
	$(BIN)/python -m benchmarks.face_cost $(BENCH)

# The browser needs the packages, and the namespace keeps it from the outside.
bench-console: $(VENV)/.dev packages
	$(NAMESPACE) $(BIN)/python -m benchmarks.console_cost $(BENCH)

# Beside GStreamer's jitter buffer, in real time: a minute.
bench-clock: $(VENV)/.dev packages
	$(BIN)/python -m benchmarks.clock_peer

bench-loss: $(VENV)/.dev packages recordings
	$(BIN)/python -m benchmarks.loss_scores $(BENCH)

# In a network of its own, as it sends WebRTC; BENCH takes options such as --minutes 5.
soak: $(VENV)/.dev packages recordings
	$(NAMESPACE) $(BIN)/python -m benchmarks.soak $(BENCH)

# BENCH names ONNX files; later ones are compared with the first.
bench-voice: $(VENV)/.dev
	$(BIN)/python -m benchmarks.voice_cost $(BENCH)

voice-data voice-train voice-export voice-score voice-evaluate voice-floor voice-ablate voice-denoised voice-codecs voice-policy: $(VENV)/.dev
	$(BIN)/python -m monitor.training $@

face-crops face-twins face-looks face-train face-export face-evaluate face-survival face-ablate face-cues: $(VENV)/.dev
	$(BIN)/python -m monitor.training.face $@

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
