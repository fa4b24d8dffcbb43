# Parley's door. `make` lists what it does; `make run` needs Python 3.11+, Node 20+ and make, nothing else.

PYTHON ?= $(shell for p in python3 python3.15 python3.14 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
UV := $(or $(shell command -v uv 2>/dev/null),.venv-uv/bin/uv)
NPM_CI := npm ci --no-audit --no-fund --loglevel=error
CODE := $(wildcard libs/*/src services/*/src) cli/src clients/python/src
TYPED := $(CODE) tests deploy $(wildcard benchmarks)
SERVICES := gateway presence rooms history
CLIENTS := tests/clients/aws tests/clients/kinesis tests/clients/wscat tests/clients/y-webrtc tests/clients/peerjs
JS := clients/js web tests/e2e $(CLIENTS)
MEMBERS := pyproject.toml uv.lock $(wildcard libs/*/pyproject.toml services/*/pyproject.toml) cli/pyproject.toml \
	clients/python/pyproject.toml
CLIENT_SOURCES := $(shell find clients/js/src -type f 2>/dev/null) $(wildcard clients/js/tsconfig*.json)
WEB_SOURCES := $(shell find web/src web/public -type f 2>/dev/null) $(wildcard web/*.html web/*.ts web/tsconfig*.json)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run observe test test-python test-js check format schema examples chart chart-rollout dashboards rules-test alerts-test bench chaos fuzz images images-test e2e pictures console-size web setup clean need-python need-node sdk-docs

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: setup web ## Start everything; Ctrl-C stops it. ARGS="--scale gateway=2" passes arguments on
	.venv/bin/parley up $(ARGS)

observe: setup web ## Start everything with two gateways, a page of all traces, and Prometheus if it is installed
	.venv/bin/parley up --observe --scale gateway=2 $(ARGS)

test: test-js test-python ## Run all tests, on a real NATS and PostgreSQL. ARGS="-k name" goes to pytest

test-python: setup web tests/e2e/node_modules/.package-lock.json $(CLIENTS:%=%/node_modules/.package-lock.json)
	.venv/bin/pytest -n 3 --dist worksteal $(ARGS)

test-js: clients/js/node_modules/.package-lock.json
	cd clients/js && npm test

check: setup $(JS:%=%/node_modules/.package-lock.json) clients/js/dist/index.js ## Check format, lint and types
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy $(TYPED)
	@set -e; for part in $(JS); do echo "npm run check ($$part)"; (cd $$part && npm run --silent --if-present check); done

format: setup $(JS:%=%/node_modules/.package-lock.json) ## Put the code in its form, and repair what lint can
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .
	@set -e; for part in $(JS); do (cd $$part && npm run --silent --if-present fix); done

schema: setup ## Write the JSON Schemas of what is said on the wire and the bus, and the pages of settings and metrics
	.venv/bin/python -m parley.protocol.schema
	.venv/bin/python -m parley.kit.settings_page $(SERVICES:%=parley.%) > docs/reference/settings.md
	.venv/bin/python -m parley.kit.metrics_page $(SERVICES:%=parley.%) > docs/reference/metrics.md

sdk-docs: clients/js/node_modules/.package-lock.json ## Write the reference of the TypeScript client
	cd clients/js && npm run --silent docs

examples: setup ## Write the example of each public event anew, because it is meant to be another now
	PYTHONPATH=tests .venv/bin/python -m contract.test_event_examples

chart: setup ## Write what the Helm chart says twice (schema and README of its values, front door), and test the chart
	.venv/bin/python -m deploy.k8s.write
	.venv/bin/pytest tests/chart $(ARGS)

chart-rollout: setup ## Replace everything that the chart renders, under load, by a newer version; it takes minutes
	.venv/bin/pytest tests/chart -m chaos $(ARGS)

dashboards: setup ## Write the dashboards for Grafana
	.venv/bin/python -m deploy.grafana.write

rules-test: setup ## Check alerts and dashboards with promtool, and let each alert fire (needs Debian's prometheus)
	.venv/bin/python -m deploy.prometheus.check

alerts-test: setup ## Bring about what each alert warns of, and see it fire and end in a real Prometheus (as rules-test)
	PYTHONPATH=tests .venv/bin/python -m alerts $(ARGS)

bench: setup benchmarks/socketio/node_modules/.package-lock.json ## Measure, beside Socket.IO in the same run; prints one table
	PYTHONPATH=tests .venv/bin/python -m benchmarks $(ARGS)

chaos: setup ## Hurt a cluster under load for some minutes, and check all promises. ARGS="--seed 7 --faults 30"
	PYTHONPATH=tests .venv/bin/python -m chaos $(ARGS)
	.venv/bin/pytest tests/chaos -m chaos

conformance: setup web tests/e2e/node_modules/.package-lock.json $(CLIENTS:%=%/node_modules/.package-lock.json) ## Run every client program there is against Parley, the heavy ones too
	.venv/bin/pytest tests/conformance $(ARGS)
	.venv/bin/pytest tests -m conformance $(ARGS)

fuzz: setup ## Look for frames that break a decoder, ten minutes for each. FUZZ_SECONDS=60 for less
	$(UV) sync --quiet --frozen --inexact --python $(PYTHON) --group fuzz
	@set -e; for decoder in $$(ls tests/fuzz/seeds); do \
		PYTHONPATH=tests .venv/bin/python -m fuzz $$decoder $(or $(FUZZ_SECONDS),600); done

images: ## Build the container images with docker, podman or buildah. IMAGE_PREFIX=... IMAGE_TAG=...
	deploy/images.sh $(ARGS)

images-test: setup ## Build the images without registry or engine, and run what is in them (root, debootstrap, buildah)
	PYTHONPATH=tests .venv/bin/python -m images

e2e: setup web tests/e2e/node_modules/.package-lock.json ## Let people call each other in a real browser; `make test` has the half that is quick
	.venv/bin/pytest tests/e2e -m "" $(ARGS)

pictures: setup web tests/e2e/node_modules/.package-lock.json ## Take the pictures of the README anew
	PYTHONPATH=tests .venv/bin/python tests/e2e/take_pictures.py

console-size: setup web tests/e2e/node_modules/.package-lock.json ## Measure the console beside ten thousand connections
	PYTHONPATH=tests:. .venv/bin/python tests/e2e/many.py $(ARGS)

web: web/dist/index.html ## Build the pages: call app and console

setup: .venv/.synced ## Install the Python parts into .venv
	@.venv/bin/python -m compileall -q $(CODE)

clean: ## Remove what was built and installed; .parley, your data, stays
	rm -rf .venv .venv-uv web/dist clients/js/dist clients/js/dist-test $(JS:%=%/node_modules)
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

need-python:
	@test -n "$(PYTHON)" || { echo "Parley needs Python 3.11 or newer, and this is $$(python3 --version 2>/dev/null || echo none):" \
		"install one, or name it with make PYTHON=/path/to/python." >&2; exit 1; }

need-node:
	@node -e 'const [a] = process.versions.node.split("."); process.exit(a >= 20 ? 0 : 1)' \
		2>/dev/null || { echo "Parley needs Node 20 or newer, and this is $$(node --version 2>/dev/null || echo none):" \
		"install it from https://nodejs.org or with your package manager." >&2; exit 1; }

.venv-uv/bin/uv: | need-python
	@$(PYTHON) -m venv .venv-uv 2>/dev/null || { rm -rf .venv-uv; \
		echo "$(PYTHON) cannot make a venv: install its venv package (python3-venv on Debian), or uv itself." >&2; exit 1; }
	.venv-uv/bin/pip install --quiet uv

.venv/.synced: $(MEMBERS) | need-python $(filter .venv-uv/bin/uv,$(UV))
	$(UV) sync --frozen --python $(PYTHON)
	@touch $@

%/node_modules/.package-lock.json: %/package-lock.json | need-node
	cd $* && $(NPM_CI)
	@touch $@

clients/js/dist/index.js: clients/js/node_modules/.package-lock.json $(CLIENT_SOURCES)
	cd clients/js && npm run --silent build
	@touch $@

web/dist/index.html: web/node_modules/.package-lock.json clients/js/dist/index.js $(WEB_SOURCES)
	cd web && npm run --silent build
	@touch $@
