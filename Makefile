# Everything to try LCM Operator and to work on it. `make` alone lists the targets.
# Needs Python 3.11 or newer: each target creates .venv if it is missing.

# The Python of a new virtual environment, 3.11 or newer. Another one needs another folder (PYTHON=python3.13
# VENV=.venv-3.13).
PYTHON ?= python3
VENV = .venv
# A context of your kubeconfig, to use your own cluster instead of the local one (up, run).
CONTEXT ?=
# The number of operators: 1, or 2, of which one leads (up).
REPLICAS ?=
# The ports of REST interface, dummy registry and dummy partners; default 5000, 5001, 5003 (up, run).
REST_PORT ?=
REGISTRY_PORT ?=
PARTNERS_PORT ?=
# 5gdrones: play a trial of that plan instead of the demo (run).
PLAN ?=
# Set to exit after the demo (run).
ONCE ?=
# The image's name, another base image, more arguments for the build (image).
IMAGE ?=
BASE_IMAGE ?=
BUILD_ARGS ?=
# More arguments for pytest, and the number of parallel workers, each with its own control planes (test). The tests wait
# more than they compute: three workers fit on two cores.
ARGS ?=
JOBS ?= 3

BIN := $(VENV)/bin
LOCAL := $(BIN)/python -m devcluster
# The arguments that up and run share.
WHERE = $(if $(CONTEXT),--context $(CONTEXT)) $(if $(REST_PORT),--rest-port $(REST_PORT)) \
	$(if $(REGISTRY_PORT),--registry-port $(REGISTRY_PORT)) \
	$(if $(PARTNERS_PORT),--partners-port $(PARTNERS_PORT))
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-emit-index-url --no-emit-find-links

# The environment of the newest Python that we claim.
NEWEST := .venv-newest

.DEFAULT_GOAL := help
.PHONY: help run up down test test-newest coverage verify verify-chart fmt generate programs crds settings chart image sbom e2e lock

help: ## List the targets and their variables
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@printf '\nVariables, for example make up REST_PORT=5100:\n'
	@awk 'names && !/^[A-Z_]+ [?]=/ { printf "  %s: %s\n", names, text; names = text = "" } \
		/^# / { text = text (text ? " " : "") substr($$0, 3); next } \
		/^[A-Z_]+ [?]=/ { names = names (names ? ", " : "") $$1; next } { text = "" }' $(MAKEFILE_LIST)

run: $(VENV)/ready ## Start everything, play a trial that fails and is restored, run until Ctrl-C (ONCE=1: exit after the demo)
	@$(LOCAL) run $(if $(ONCE),--once) $(if $(PLAN),--plan $(PLAN)) $(WHERE)

up: $(VENV)/ready ## Start the local cluster in the background: control plane, node, operator, REST interface, dummies
	@$(LOCAL) up $(WHERE) $(if $(REPLICAS),--replicas $(REPLICAS))

down: $(VENV)/ready ## Stop the local cluster and delete its data; its logs stay
	@$(LOCAL) down

test: programs ## Run all tests, with their own control plane (ARGS="-k name" for some)
	@$(BIN)/pytest --numprocesses=$(JOBS) --dist=loadfile --no-loadscope-reorder $(ARGS)

test-newest: ## Run all tests on the newest Python that we claim (if it is missing: Debian's, fetched with mmdebstrap)
	@$(MAKE) --no-print-directory test VENV=$(NEWEST)

coverage: $(VENV)/ready ## Run the unit tests and show which lines they reach (as HTML in build/coverage)
	@$(BIN)/pytest tests/unit --quiet --numprocesses=$(JOBS) --cov --cov-report=term:skip-covered --cov-report=html $(ARGS)

verify: $(VENV)/ready ## Run all static checks; fails if a generated file is stale
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tools.generated --check

fmt: $(VENV)/ready ## Format the code and apply the linter's fixes
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

generate: $(VENV)/ready ## Generate all generated files: CRDs, reference pages, state machine, chart, install.yaml
	@$(BIN)/python -m tools.generated

verify-chart: programs ## Lint, render and score the Helm chart, and validate it with an API server
	@$(BIN)/pytest tests/chart $(ARGS)

programs: $(VENV)/ready ## Build the control plane's programs once; up, run and test do it as well
	@$(LOCAL) programs

crds: $(VENV)/ready ## Generate deploy/crds and their reference from tools/crds
	@$(BIN)/python tools/crds/generate.py
	@$(BIN)/python tools/crds/reference.py

settings: $(VENV)/ready ## Generate the reference of all environment variables from the code
	@$(BIN)/python -m tools.settings.reference

chart: $(VENV)/ready ## Copy CRDs, roles and plans into the chart; generate its reference and deploy/install.yaml
	@$(BIN)/python -m tools.chart.generate

image: ## Build the image, with buildah, podman or docker (IMAGE=name, BASE_IMAGE=base, BUILD_ARGS="…")
	@IMAGE="$(IMAGE)" BASE_IMAGE="$(BASE_IMAGE)" BUILD_ARGS="$(BUILD_ARGS)" tools/image/build.sh

e2e: $(VENV)/ready ## Run the tests on a real node: kubelet and containerd (root, Debian; ARGS as for test)
	@setpriv --pdeathsig TERM tools/e2e/run.sh $(ARGS)

sbom: $(VENV)/ready ## List the contents of the image in build/sbom.cdx.json (CycloneDX)
	@mkdir -p build
	@PYTHONWARNINGS=ignore $(BIN)/uv run --quiet --no-project --with-requirements requirements/sbom.txt cyclonedx-py requirements \
		--pyproject pyproject.toml --output-reproducible --output-file build/sbom.cdx.json requirements/runtime.txt

lock: $(VENV)/ready ## Resolve the dependencies of pyproject.toml into requirements/
	$(LOCK) --extra dev --output-file requirements/dev.txt pyproject.toml
	$(LOCK) --constraint requirements/dev.txt --output-file requirements/runtime.txt pyproject.toml
	echo hatchling | $(LOCK) --constraint requirements/dev.txt --output-file requirements/build.txt -
	echo cyclonedx-bom | $(LOCK) --output-file requirements/sbom.txt -

ifeq ($(VENV),$(NEWEST))
$(NEWEST)/ready: .venv/ready tools/python/__main__.py
	@python=$$(.venv/bin/python -m tools.python) && .venv/bin/uv venv --quiet --clear --python "$$python" $(NEWEST)
	@.venv/bin/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.txt
	@.venv/bin/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

.venv/ready: requirements/dev.txt pyproject.toml
	@$(MAKE) --no-print-directory $@ VENV=.venv
else
$(VENV)/ready: requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "$(PYTHON) is not Python 3.11 or newer." >&2; \
		echo "Install it, or name an installed one: make PYTHON=python3.12 …" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) cannot create virtual environments. On Debian and Ubuntu: apt install python3-venv" >&2; \
		exit 1; }
	@echo "setting up $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
endif
