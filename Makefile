# Everything that a developer, a new user and CI run. `make` alone lists it.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:

# Any Python from 3.11 on: the first that is found, or PYTHON=... on the command line.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

VENV := .venv
EMULATOR_VENV := .venv-emulator
BENCH_VENV := .venv-bench
AUDIT_VENV := .venv-audit
LOCK_VENV := build/lock-venv
BIN := $(VENV)/bin
PIP_OPTIONS := --quiet --disable-pip-version-check
# Which tests: `make test TESTS=tests/unit`, and further words for pytest in PYTEST_ARGS.
TESTS ?=
PYTEST_ARGS ?=
# Files of tests that run at once, each with an emulator and clusters of its own: most of them wait.
WORKERS ?= 3
FUZZ_ARGS ?=
AUDIT_ARGS ?=

export PIP_NO_INPUT := 1

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | \
		while IFS=$$'\t' read -r target text; do printf '  make %-11s %s\n' "$$target" "$$text"; done

.PHONY: install
install: $(VENV)/.installed $(EMULATOR_VENV)/.installed ## create the virtual environments

.PHONY: demo
demo: install ## one job from the bucket to a site and back, on an emulated AWS
	@$(BIN)/python -m local_cloud demo

.PHONY: up
up: install ## start an emulated AWS with the real stack, to play with
	@$(BIN)/python -m local_cloud up

.PHONY: down
down: install ## stop it
	@$(BIN)/python -m local_cloud down

.PHONY: puller
puller: install ## build the puller as one file for a site, build/jobferry-puller
	@$(BIN)/python -m tools.puller_file build/jobferry-puller

.PHONY: test
test: install ## run the tests (TESTS=tests/unit for some of them)
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(TESTS) $(PYTEST_ARGS)

.PHONY: fuzz
fuzz: install ## 100,000 broken inputs for each parser of outside input (FUZZ_ARGS='--seed 2')
	$(BIN)/python -m tests.fuzz $(FUZZ_ARGS)

.PHONY: audit
audit: $(AUDIT_VENV)/.installed ## known weaknesses of the locked packages (needs a service in the network)
	@$(AUDIT_VENV)/bin/python -m tools.known_weaknesses $(AUDIT_ARGS)

.PHONY: bench
bench: install $(BENCH_VENV)/.installed ## measure everything, write docs/benchmarks.md (45 minutes, a machine for itself)
	$(BIN)/python -m benchmarks

.PHONY: bench-quick
bench-quick: install $(BENCH_VENV)/.installed ## measure the short form, under 3 minutes, into build/benchmarks
	$(BIN)/python -m benchmarks --quick

.PHONY: check
check: install ## style, types, import directions, shell scripts
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	@if command -v shellcheck >/dev/null; then \
		git ls-files -z '*.sh' .ci/run | xargs -0 shellcheck; \
	else echo 'shellcheck is not installed: shell scripts were not checked'; fi

.PHONY: format
format: install ## bring the code into the project's style
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

.PHONY: cdk
cdk: node_modules/.package-lock.json ## install the CDK command line that fits the stack (needs npm)

.PHONY: lock
lock: $(LOCK_VENV)/.installed ## pin requirements/*.in again, in requirements/*.txt
	for source in requirements/*.in; do \
		$(LOCK_VENV)/bin/uv pip compile --quiet --generate-hashes --no-emit-index-url --universal \
			--python-version 3.11 --no-header "$$source" -o "$${source%.in}.txt"; \
	done

.PHONY: clean
clean: ## remove everything that the other targets made
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m local_cloud down; fi
	rm -rf $(VENV) $(EMULATOR_VENV) $(BENCH_VENV) $(AUDIT_VENV) .jobferry build cdk.out node_modules *.egg-info
	rm -rf .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is as old as the lock file that was installed.
$(VENV)/.installed: $(VENV)/.locked pyproject.toml
	$(BIN)/pip install $(PIP_OPTIONS) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.locked: requirements/dev.txt
	@$(call venv,$(VENV))
	$(BIN)/pip install $(PIP_OPTIONS) --require-hashes -r requirements/dev.txt
	@touch $@

$(EMULATOR_VENV)/.installed: requirements/emulator.txt
	@$(call venv,$(EMULATOR_VENV))
	$(EMULATOR_VENV)/bin/pip install $(PIP_OPTIONS) --require-hashes -r requirements/emulator.txt
	@touch $@

# What is compared with, under an interpreter that every user can run: CloudQ's user is nobody.
$(BENCH_VENV)/.installed: PYTHON := $(shell for p in /usr/bin/python3 $(PYTHON); do \
	$$p -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && \
	break; done)
$(BENCH_VENV)/.installed: requirements/bench.txt
	@$(call venv,$(BENCH_VENV))
	$(BENCH_VENV)/bin/pip install $(PIP_OPTIONS) --require-hashes -r requirements/bench.txt
	@touch $@

$(AUDIT_VENV)/.installed: requirements/audit.txt
	@$(call venv,$(AUDIT_VENV))
	$(AUDIT_VENV)/bin/pip install $(PIP_OPTIONS) --require-hashes -r requirements/audit.txt
	@touch $@

$(LOCK_VENV)/.installed: requirements/lock.txt
	@$(call venv,$(LOCK_VENV))
	$(LOCK_VENV)/bin/pip install $(PIP_OPTIONS) --require-hashes -r requirements/lock.txt
	@touch $@

node_modules/.package-lock.json: package-lock.json
	@command -v npm >/dev/null || { echo 'error: there is no npm; install Node.js 20 or later' >&2; exit 1; }
	npm ci --no-audit --no-fund
	@touch $@

define venv
if [ -z '$(PYTHON)' ]; then echo 'error: there is no Python 3.11 or later' >&2; exit 1; fi; \
echo 'Installing into $(1) (once)'; \
test -x $(1)/bin/pip || $(PYTHON) -m venv $(1) || { \
	rm -rf $(1); \
	echo 'error: $(PYTHON) cannot create a virtual environment: on Debian, apt install python3-venv' >&2; \
	exit 1; }
endef
