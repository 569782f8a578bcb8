# Two commands for a newcomer: `make demo` and `make test`. Everything else is listed by `make help`.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
WORKSPACE_ENV := .workspace-env
IDENTITIES := build/oidc-provider
POSTGRES := build/outside-postgres
STORAGE := build/object-storage
BIN := $(VENV)/bin
LOCK := uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header
# lifelines needs autograd-gamma, which comes as source only: it is built with the pinned tools of build.lock, about which an
# older pip has warnings (-qq) that are no reader's business here.
PIP_INSTALL := install -qq --disable-pip-version-check --require-hashes --only-binary :all: --no-binary autograd-gamma --no-build-isolation

# Root becomes an ordinary user first.
ORDINARY := $(BIN)/python -m tre.stack.ordinary --
# What root becomes can only be tried by root.
AS_ROOT := test "$$(id -u)" != 0 || $(BIN)/python -m pytest -q -p no:cacheprovider tests/stack/test_ordinary.py

# What the whole suite must have taken of the branches of rules and services.
COVERED := $(BIN)/python -m tests.covered

# `make test-cluster ONCE_MORE=--once-more` tries what failed a second time, PARTS="projects failures" runs only these.
CLUSTER_TESTS := $(BIN)/python -m tests.cluster.suite $(ONCE_MORE) $(PARTS)

.PHONY: help install demo up test test-failed test-long cluster test-cluster cluster-down images check peers bench lock clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

install: $(VENV)/.installed $(WORKSPACE_ENV)/.installed ## make .venv and .workspace-env from the lock files

$(VENV)/.installed: requirements/build.lock requirements/platform.lock requirements/dev.lock pyproject.toml
	@echo "installing the platform into $(VENV)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip $(PIP_INSTALL) -r requirements/build.lock
	@$(BIN)/python -m pip $(PIP_INSTALL) -r requirements/platform.lock -r requirements/dev.lock
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(WORKSPACE_ENV)/.installed: images/workspace/requirements.lock
	@echo "installing the workspace's own Python into $(WORKSPACE_ENV)"
	@test -x $(WORKSPACE_ENV)/bin/python || $(PYTHON) -m venv $(WORKSPACE_ENV)
	@$(WORKSPACE_ENV)/bin/python -m pip $(PIP_INSTALL) -r requirements/build.lock
	@$(WORKSPACE_ENV)/bin/python -m pip $(PIP_INSTALL) -r images/workspace/requirements.lock
	@touch $@

# The identity provider of the tests. Without npm its tests say that they did not run.
$(IDENTITIES)/.installed: tests/door/oidc/provider/package-lock.json
	@mkdir -p $(IDENTITIES) && cp tests/door/oidc/provider/package.json tests/door/oidc/provider/package-lock.json $(IDENTITIES)
	@! command -v npm >/dev/null || (cd $(IDENTITIES) && npm ci --silent --ignore-scripts --no-audit --no-fund)
	@touch $@

# PostgreSQL with TLS, as an institution runs it: ours is built without.
$(POSTGRES)/.installed: tests/cluster/outside/postgres/package-lock.json
	@mkdir -p $(POSTGRES) && cp tests/cluster/outside/postgres/package.json tests/cluster/outside/postgres/package-lock.json $(POSTGRES)
	@! command -v npm >/dev/null || (cd $(POSTGRES) && npm ci --silent --ignore-scripts --no-audit --no-fund)
	@touch $@

# The object storage of the tests. Without Go, or with one that cannot build it, its tests say that they did not run.
$(STORAGE)/.installed: tests/cluster/go/versitygw/go.mod tests/cluster/go/versitygw/go.sum
	@mkdir -p $(STORAGE)
	@! command -v go >/dev/null || (cd tests/cluster/go/versitygw && CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS= nice go build \
		-trimpath -mod=readonly -buildvcs=false -gcflags=all=-dwarf=false -ldflags="-s -w" -o $(abspath $(STORAGE)) github.com/versity/versitygw/cmd/versitygw) \
		&& touch $@ || echo "the object storage of the tests could not be built: see above"

demo: install ## the whole journey on real parts, with its refusals; nothing keeps running
	@$(BIN)/tre demo

up: install ## the platform with the demo's people and data; Ctrl-C stops it
	@$(BIN)/tre up --demo

test: install $(IDENTITIES)/.installed $(STORAGE)/.installed ## the whole suite on real parts
	@rm -rf build/suite-passed build/coverage
	@TRE_COVERAGE=build/coverage $(ORDINARY) $(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder && touch build/suite-passed
	@$(AS_ROOT)
	@$(COVERED)

test-failed: install $(IDENTITIES)/.installed $(STORAGE)/.installed ## only what failed last time
	@test -e build/suite-passed || \
		TRE_COVERAGE=build/coverage $(ORDINARY) $(BIN)/python -m pytest -q --last-failed --last-failed-no-failures none
	@$(AS_ROOT)
	@$(COVERED)

test-long: install $(IDENTITIES)/.installed $(STORAGE)/.installed ## the same with fuzzing, killing and filling at their full counts
	@TRE_TEST_LONG=1 $(ORDINARY) $(BIN)/python -m pytest -q --timeout 3600

cluster: install ## a real Kubernetes for the tests (root, Debian, Go); builds it the first time
	@$(BIN)/python -m tests.cluster up

test-cluster: install $(IDENTITIES)/.installed $(POSTGRES)/.installed $(STORAGE)/.installed ## the tests that need one, on it or on the cluster that KUBECONFIG names; one that was not up ends
	@if test -n "$$KUBECONFIG"; then $(CLUSTER_TESTS); else \
		$(BIN)/python -m tests.cluster running || trap '$(BIN)/python -m tests.cluster down' EXIT; \
		$(BIN)/python -m tests.cluster up && $(MAKE) --no-print-directory images && $(CLUSTER_TESTS); fi

cluster-down: ## end it; nothing of it is left
	@$(BIN)/python -m tests.cluster down

images: install ## container images into build/images, and onto the cluster of the tests where it runs (root, Debian)
	@$(BIN)/python -m images.builder
	@$(BIN)/python -m tests.cluster load build/images/*.tar

check: install ## ruff, mypy --strict, import-linter, documentation
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

peers: install ## the programs that disclosure control is measured beside, in an environment of their own
	@test -x build/peers/bin/python || $(PYTHON) -m venv build/peers
	@build/peers/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/peers.lock

bench: peers ## ratios measured side by side, as JSON and a page in docs/
	@$(BIN)/python -m tests.cluster.scale.programs
	@$(BIN)/python -m tests.bench

lock: ## resolve the lock files again (needs uv)
	@cd requirements && $(LOCK) build.in -o build.lock && $(LOCK) platform.in -o platform.lock && $(LOCK) dev.in -o dev.lock
	@cd requirements && $(LOCK) peers.in -o peers.lock
	@cd images/workspace && $(LOCK) requirements.in -o requirements.lock
	@cd images/workspace-r && $(LOCK) requirements.in -o requirements.lock
	@cd images && $(LOCK) build.in -o build.lock
	@for image in control hub proxy servers; do (cd images/$$image && $(LOCK) requirements.in -o requirements.lock) || exit; done
	@cd images/guard && $(LOCK) --no-deps requirements.in -o requirements.lock

clean: ## remove what install made
	@rm -rf $(VENV) $(WORKSPACE_ENV) build
