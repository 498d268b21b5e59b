# make quick | repro | test | ui | report | lint | docs | site. PROFILE=paper or smoke runs another grid in a folder of its own.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
LOCKS := requirements.lock requirements-dev.lock requirements-torch.txt
PORT ?= 5000
export PATH := $(CURDIR)/$(BIN):$(PATH)
export DVC_NO_ANALYTICS := 1

.PHONY: repro quick test lint ui report docs site tuning bench clean environment repository

repro: repository environment
ifdef PROFILE
	python -m pipeline.profile $(PROFILE)
else
	python -m pipeline.repro
endif

# Every problem and its main estimators with few seeds; `make repro` computes none of these runs again.
quick: repository environment
	python -m pipeline.profile quick

test: repository environment
	python -m pytest -n 2 --dist loadfile --no-loadscope-reorder tests

lint: environment
	ruff check .
	ruff format --check .
	codespell
	mypy
	lint-imports

ui: environment
	@python -m pipeline.ui --port $(PORT)

# One HTML page of the results, with LaTeX tables and PDF figures beside it, in report/.
report: environment
	python -m pipeline.report $(if $(PROFILE),--profile $(PROFILE))

# Numbers, tables and claims of README.md and docs/, from results/.
docs: environment
	python -m pipeline.docs

# docs/ and the reference of the public names as HTML; a link, an anchor or a formula that is wrong is an error.
site: environment
	python -m sphinx -b html -E -W --keep-going -q docs site

tuning: repository environment
	cd tuning && dvc repro

bench: environment
	python -m benchmarks.training_speed $(if $(QUICK),--quick)

# DVC needs a Git repository; better said now than after the installation.
repository:
	@command -v git >/dev/null || { echo "error: git is not installed, and DVC needs it" >&2; exit 1; }
	@git rev-parse --git-dir >/dev/null 2>&1 || { echo "error: $(CURDIR) is no Git repository, and DVC needs one;" \
	    "clone the project, or run \`git init && git add --all && git commit --message start\`" >&2; exit 1; }

# A virtual environment of another Python than the one asked for, or of none that works, is made anew.
OLD_ENOUGH = -c 'import sys; sys.exit(sys.version_info < (3, 11))'
MINOR = -c 'import sys; print(sys.version_info[:2])'
environment:
	@if $(BIN)/python $(OLD_ENOUGH) 2>/dev/null && { test "$(origin PYTHON)" = file || \
	    test "$$($(BIN)/python $(MINOR))" = "$$($(PYTHON) $(MINOR) 2>&1)"; }; then exit 0; fi; \
	if ! $(PYTHON) $(OLD_ENOUGH) 2>/dev/null; then \
	    echo "error: PYTHON=$(PYTHON) is $$($(PYTHON) --version 2>&1 | head -n 1), but 3.11 or newer is needed; name one:" \
	        "make repro PYTHON=python3.12" >&2; exit 1; fi; \
	rm -rf $(VENV)
	@$(MAKE) --no-print-directory $(STAMP)

# The locks hold every package; torch's build is PyPI's unless TORCH_OPTIONS names another index.
$(STAMP): $(LOCKS) pyproject.toml
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet $(TORCH_OPTIONS) --requirement requirements-torch.txt
	$(BIN)/pip install --quiet --no-deps --require-hashes --requirement requirements.lock --requirement requirements-dev.lock
	$(BIN)/pip install --quiet --no-deps --editable .
	touch $@

clean:
	rm -rf $(VENV) .work
