# make repro | test | ui | lint. PROFILE=paper or smoke runs another grid in a folder of its own.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PORT ?= 5000
export PATH := $(CURDIR)/$(BIN):$(PATH)
export DVC_NO_ANALYTICS := 1

.PHONY: repro test lint ui tuning bench clean

repro: $(STAMP)
ifdef PROFILE
	python -m pipeline.profile $(PROFILE)
else
	dvc repro
endif

test: $(STAMP)
	python -m pytest -n 2 --dist loadfile --no-loadscope-reorder tests

lint: $(STAMP)
	ruff check .
	ruff format --check .
	codespell
	mypy
	lint-imports

ui: $(STAMP)
	@python -m pipeline.ui --port $(PORT)

tuning: $(STAMP)
	cd tuning && dvc repro

bench: $(STAMP)
	python benchmarks/training_speed.py

# The lock holds everything but torch, whose CPU build comes from its own index or a local wheel.
$(STAMP): requirements.lock pyproject.toml
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -c "import torch, sys; sys.exit(torch.__version__.split('+')[0] != '2.13.0')" 2>/dev/null || $(BIN)/pip install --quiet $(TORCH_OPTIONS) torch==2.13.0
	$(BIN)/pip install --quiet --no-deps --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --no-deps -e .
	touch $@

clean:
	rm -rf $(VENV) .work
