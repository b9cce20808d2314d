# Everything to try LCM Operator and to work on it. `make` alone lists the targets.
# Needs Python 3.11 or newer: each target creates .venv if it is missing.

PYTHON ?= python3
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

BIN := .venv/bin
LOCAL := $(BIN)/python -m devcluster
# The arguments that up and run share.
WHERE = $(if $(CONTEXT),--context $(CONTEXT)) $(if $(REST_PORT),--rest-port $(REST_PORT)) \
	$(if $(REGISTRY_PORT),--registry-port $(REGISTRY_PORT)) \
	$(if $(PARTNERS_PORT),--partners-port $(PARTNERS_PORT))
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-emit-index-url --no-emit-find-links

.DEFAULT_GOAL := help
.PHONY: help run up down test coverage verify verify-chart fmt generate programs crds settings chart image sbom e2e lock

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: .venv/ready ## Start everything, play a trial that fails and is restored, run until Ctrl-C (ONCE=1: exit after the demo)
	@$(LOCAL) run $(if $(ONCE),--once) $(if $(PLAN),--plan $(PLAN)) $(WHERE)

up: .venv/ready ## Start the local cluster in the background: control plane, node, operator, REST interface, dummies
	@$(LOCAL) up $(WHERE) $(if $(REPLICAS),--replicas $(REPLICAS))

down: .venv/ready ## Stop the local cluster and delete its data; its logs stay
	@$(LOCAL) down

test: programs ## Run all tests, with their own control plane (ARGS="-k name" for some)
	@$(BIN)/pytest --numprocesses=$(JOBS) --dist=loadfile --no-loadscope-reorder $(ARGS)

coverage: .venv/ready ## Run the unit tests and show which lines they reach (as HTML in build/coverage)
	@$(BIN)/pytest tests/unit --quiet --numprocesses=$(JOBS) --cov --cov-report=term:skip-covered --cov-report=html $(ARGS)

verify: .venv/ready ## Run all static checks; fails if a generated file is stale
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tools.generated --check

fmt: .venv/ready ## Format the code and apply the linter's fixes
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

generate: .venv/ready ## Generate all generated files: CRDs, reference pages, state machine, chart, install.yaml
	@$(BIN)/python -m tools.generated

verify-chart: programs ## Lint, render and score the Helm chart, and validate it with an API server
	@$(BIN)/pytest tests/chart $(ARGS)

programs: .venv/ready ## Build the control plane's programs once; up, run and test do it as well
	@$(LOCAL) programs

crds: .venv/ready ## Generate deploy/crds and their reference from tools/crds
	@$(BIN)/python tools/crds/generate.py
	@$(BIN)/python tools/crds/reference.py

settings: .venv/ready ## Generate the reference of all environment variables from the code
	@$(BIN)/python -m tools.settings.reference

chart: .venv/ready ## Copy CRDs, roles and plans into the chart; generate its reference and deploy/install.yaml
	@$(BIN)/python -m tools.chart.generate

image: ## Build the image, with buildah, podman or docker (IMAGE=name, BASE_IMAGE=base, BUILD_ARGS="…")
	@IMAGE="$(IMAGE)" BASE_IMAGE="$(BASE_IMAGE)" BUILD_ARGS="$(BUILD_ARGS)" tools/image/build.sh

e2e: .venv/ready ## Run the tests on a real node: kubelet and containerd (root, Debian; ARGS as for test)
	@setpriv --pdeathsig TERM tools/e2e/run.sh $(ARGS)

sbom: .venv/ready ## List the contents of the image in build/sbom.cdx.json (CycloneDX)
	@mkdir -p build
	@PYTHONWARNINGS=ignore $(BIN)/uv run --quiet --no-project --with-requirements requirements/sbom.txt cyclonedx-py requirements \
		--pyproject pyproject.toml --output-reproducible --output-file build/sbom.cdx.json requirements/runtime.txt

lock: .venv/ready ## Resolve the dependencies of pyproject.toml into requirements/
	$(LOCK) --extra dev --output-file requirements/dev.txt pyproject.toml
	$(LOCK) --constraint requirements/dev.txt --output-file requirements/runtime.txt pyproject.toml
	echo hatchling | $(LOCK) --constraint requirements/dev.txt --output-file requirements/build.txt -
	echo cyclonedx-bom | $(LOCK) --output-file requirements/sbom.txt -

.venv/ready: requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "$(PYTHON) is not Python 3.11 or newer." >&2; \
		echo "Install it, or name an installed one: make PYTHON=python3.12 …" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) cannot create virtual environments. On Debian and Ubuntu: apt install python3-venv" >&2; \
		exit 1; }
	@echo "setting up .venv"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
