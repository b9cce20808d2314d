# Everything for trying LCM Operator out and for working on it. `make` alone lists the targets.
# Needs Python 3.11 or newer and nothing else of ours: each target sets up .venv by itself.

PYTHON ?= python3
# A kube context of your own to use instead of the local control plane (up, run).
CONTEXT ?=
# How many operators: 1, or 2, of which one leads (up).
REPLICAS ?=
# Where the REST interface, the dummy registry and the dummy partners listen; default 5000, 5001, 5003 (up, run).
REST_PORT ?=
REGISTRY_PORT ?=
PARTNERS_PORT ?=
# 5gdrones: play the trial of that plan instead of the demo (run).
PLAN ?=
# Set to leave after the demo (run).
ONCE ?=
# The image's name, another base for it, more arguments for its build (image).
IMAGE ?=
BASE_IMAGE ?=
BUILD_ARGS ?=
# More arguments for pytest, and how many of it run side by side, each with control planes of its own (test). The tests
# wait more than they compute: three fit on two cores.
ARGS ?=
JOBS ?= 3

BIN := .venv/bin
LOCAL := $(BIN)/python -m devcluster
# What up and run have in common.
WHERE = $(if $(CONTEXT),--context $(CONTEXT)) $(if $(REST_PORT),--rest-port $(REST_PORT)) \
	$(if $(REGISTRY_PORT),--registry-port $(REGISTRY_PORT)) \
	$(if $(PARTNERS_PORT),--partners-port $(PARTNERS_PORT))
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-emit-index-url --no-emit-find-links

.DEFAULT_GOAL := help
.PHONY: help run up down test coverage verify verify-chart fmt generate programs crds settings chart image sbom e2e lock

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: .venv/ready ## Start everything, play a trial that fails and is restored, stay up until Ctrl-C (ONCE=1: leave then)
	@$(LOCAL) run $(if $(ONCE),--once) $(if $(PLAN),--plan $(PLAN)) $(WHERE)

up: .venv/ready ## Start the local cluster in the background: control plane, node, operator, REST interface, dummies
	@$(LOCAL) up $(WHERE) $(if $(REPLICAS),--replicas $(REPLICAS))

down: .venv/ready ## Stop the local cluster and forget its data; its logs stay
	@$(LOCAL) down

test: programs ## Run all tests, with a control plane of their own (ARGS="-k name" for some)
	@$(BIN)/pytest --numprocesses=$(JOBS) --dist=loadfile --no-loadscope-reorder $(ARGS)

coverage: .venv/ready ## Run the unit tests and show which lines they reach (build/coverage: the same as pages)
	@$(BIN)/pytest tests/unit --quiet --numprocesses=$(JOBS) --cov --cov-report=term:skip-covered --cov-report=html $(ARGS)

verify: .venv/ready ## Run all static checks; fails when a generated file is stale
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tools.generated --check

fmt: .venv/ready ## Format the code and fix what the linter can fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

generate: .venv/ready ## Write all generated files: CRDs, reference pages, state machine, chart, install.yaml
	@$(BIN)/python -m tools.generated

verify-chart: programs ## Lint, render and judge the Helm chart, and have an API server check it
	@$(BIN)/pytest tests/chart $(ARGS)

programs: .venv/ready ## Build the control plane's programs (once; up, run and test do it too)
	@$(LOCAL) programs

crds: .venv/ready ## Make deploy/crds and their reference from tools/crds
	@$(BIN)/python tools/crds/generate.py
	@$(BIN)/python tools/crds/reference.py

settings: .venv/ready ## Make the reference of all environment variables from the code
	@$(BIN)/python -m tools.settings.reference

chart: .venv/ready ## Copy CRDs, roles and plans into the chart; make its reference and deploy/install.yaml
	@$(BIN)/python -m tools.chart.generate

image: ## Build the image, with buildah, podman or docker (IMAGE=name, BASE_IMAGE=base, BUILD_ARGS="…")
	@IMAGE="$(IMAGE)" BASE_IMAGE="$(BASE_IMAGE)" BUILD_ARGS="$(BUILD_ARGS)" tools/image/build.sh

e2e: .venv/ready ## Run the tests on a real node: kubelet and containerd (root, Debian; ARGS as for test)
	@setpriv --pdeathsig TERM tools/e2e/run.sh $(ARGS)

sbom: .venv/ready ## List what is in the image: build/sbom.cdx.json (CycloneDX)
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
		echo "Python 3.11 or newer is needed, and $(PYTHON) is not that." >&2; \
		echo "Install one, or name one that is there: make PYTHON=python3.12 …" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "This Python can't make virtual environments. On Debian and Ubuntu: apt install python3-venv" >&2; \
		exit 1; }
	@echo "setting up .venv"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
