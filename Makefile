# Entente: `make run` serves the demo, `make test` runs everything. Both set up what they need.
SHELL := /bin/bash
PORT ?= 8000
DATA ?= data
VENV := .venv
PY := $(VENV)/bin/python
.DELETE_ON_ERROR:
.PHONY: setup run test check bench campaign lock openapi clean

setup: .venv.stamp

# The lock carries hashes and no addresses; the project itself is installed editable, from this checkout.
.venv.stamp: requirements.lock pyproject.toml
	test -x $(PY) || python3 -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

run: setup
	exec $(VENV)/bin/entente serve --demo --host 127.0.0.1 --port $(PORT) --data $(DATA)

check: setup
	$(VENV)/bin/ruff check service tests
	$(VENV)/bin/ruff format --check service tests
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-cache

test: check
	$(VENV)/bin/pytest tests -m "not campaign" -n auto --dist worksteal

bench: setup
	$(PY) -m tests.bench

campaign: setup
	$(VENV)/bin/pytest tests -m campaign

openapi: setup
	$(PY) -m service.app > openapi/openapi.json

# Needs uv: the lock is resolved for every platform, with hashes, without index addresses.
lock:
	uv pip compile --universal --python-version 3.11 --extra test --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --no-header --quiet pyproject.toml -o requirements.lock
