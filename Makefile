# Everything runs in .venv, made from requirements.lock on first use; `make help` lists the targets.
SHELL := /bin/bash
PYTHON3 ?= python3
VENV := .venv
PY := $(VENV)/bin/python
# Spark is a download of 450 MB: in a venv of its own, which sees the packages of the other one
SPARK := .venv-spark
CONFIG ?= configs/complete_journey.yaml
SET ?=
SETTINGS := $(foreach s,$(SET),--set $(s))
TRACKING ?= sqlite:///mlflow.db
PORT ?= 5001

# An inherited Prefect profile or server would silently redirect the run. PREFECT_SERVER=http://… chooses one on purpose.
PREFECT_SERVER ?=
PREFECT := env -u PREFECT_API_KEY -u PREFECT_PROFILE -u PREFECT_API_URL $(if $(PREFECT_SERVER),PREFECT_API_URL=$(PREFECT_SERVER)) \
           PREFECT_PROFILES_PATH=$(CURDIR)/.prefect/profiles.toml PREFECT_HOME=$(CURDIR)/.prefect
# OMP_WAIT_POLICY: threads of LightGBM that wait for a busy core sleep instead of spinning
ON_SERVER := $(PREFECT) PREFECT_API_URL=$(or $(PREFECT_SERVER),http://127.0.0.1:4200/api)
QUIET := MLFLOW_DISABLE_TELEMETRY=true MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false OMP_WAIT_POLICY=passive
# Tests run in WORKERS processes, file by file (WORKERS=0: in this one); the threads of BLAS would only be in their way
WORKERS ?= 2
TESTS ?=
PARALLEL := -n $(WORKERS) --dist loadfile --no-loadscope-reorder
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

.DEFAULT_GOAL := help
.PHONY: help setup train tune score affinity offers due test test-postgres test-crash test-deployments test-spark schedule deploy worker lost-runs lint types check report serve ui ui-prefect notebooks benchmarks format clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | awk -F'\t' '{printf "  make %-14s %s\n", $$1, $$2}'

setup: $(VENV)/ready  ## make .venv from requirements.lock (other targets do it by themselves)

$(VENV)/ready: requirements.lock pyproject.toml
	$(PYTHON3) -c 'import sys; v = sys.version_info; sys.exit(None if (3, 11) <= v < (3, 15) else f"Python 3.11-3.14 is needed, this is {v.major}.{v.minor}; make PYTHON3=python3.12 ...")'
	test -x $(PY) || $(PYTHON3) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

train: $(VENV)/ready  ## train on CONFIG (default: Complete Journey), report, register; SET="ranker.trees=50 …"
	@$(PREFECT) $(QUIET) $(PY) -m flows.train --config $(CONFIG) $(SETTINGS)

tune: $(VENV)/ready  ## search hyperparameters of CONFIG on moments before the test; call again to go on
	@$(QUIET) $(VENV)/bin/recsys tune --config $(CONFIG) $(SETTINGS)

score: $(VENV)/ready  ## recommendations of all customers as files in scores/latest; SET="scoring.k=5 …" MODEL=URI
	@$(PREFECT) $(QUIET) $(PY) -m flows.score --config $(CONFIG) $(SETTINGS) $(if $(MODEL),--model $(MODEL)) $(if $(CUSTOMERS),--customers $(CUSTOMERS))

affinity: $(VENV)/ready  ## pairs bought together in CONFIG, with flags and a page, in affinity/latest; SET="affinity.months=12 …"
	@$(QUIET) $(VENV)/bin/recsys affinity --config $(CONFIG) $(SETTINGS)

offers: $(VENV)/ready  ## cross-sell, up-sell and bundles of CONFIG as files, and a playbook, in offers/latest; CUSTOMERS=file
	@$(QUIET) $(VENV)/bin/recsys offers --config $(CONFIG) $(SETTINGS) $(if $(CUSTOMERS),--customers $(CUSTOMERS))

due: $(VENV)/ready  ## offers due today as files in due/latest; FROM=2017-12-04 TO=2017-12-31 for days, KIT=now for earlier ones
	@$(PREFECT) $(QUIET) $(PY) -m flows.offers --config $(CONFIG) $(SETTINGS) $(if $(FROM),--from $(FROM)) $(if $(TO),--to $(TO)) $(if $(KIT),--kit $(KIT))

test: $(VENV)/ready  ## the tests, in under five minutes
	@$(PREFECT) $(QUIET) $(ONE_THREAD) $(PY) -m pytest $(PARALLEL) -m "not postgres and not crash and not deployment and not spark" $(TESTS)

test-postgres: $(VENV)/ready  ## orders out of a throw-away PostgreSQL on loopback
	@$(QUIET) tests/postgres.sh $(PY) -m pytest -m postgres

test-crash: $(VENV)/ready  ## kill real trainings at random moments
	@$(PREFECT) $(QUIET) $(PY) -m pytest -m crash

test-deployments: $(VENV)/ready  ## Prefect's server, worker and schedules for real
	@$(PREFECT) $(QUIET) $(PY) -m pytest -m deployment

$(SPARK)/ready: $(VENV)/ready requirements-spark.lock
	test -x $(SPARK)/bin/python || $(PY) -m venv $(SPARK)
	$(SPARK)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-spark.lock
	of() { $$1 -c 'import sysconfig; print(sysconfig.get_path("purelib"))'; } && \
		echo "import site; site.addsitedir('$$(of $(PY))')" > "$$(of $(SPARK)/bin/python)/recsys-beside.pth"
	@touch $@

# without Java the tests say so and are skipped; nothing is downloaded for that
test-spark: $(VENV)/ready  ## the Spark engine on local[2]; needs Java 17, makes .venv-spark
	@py=$(PY); if $(PY) -m recsys.spark.session; then $(MAKE) --no-print-directory $(SPARK)/ready && py=$(SPARK)/bin/python; fi && \
		$(QUIET) $(ONE_THREAD) $$py -m pytest -rs -m spark tests/spark

lint: $(VENV)/ready  ## ruff: rules and format
	@$(PY) -m ruff check . && $(PY) -m ruff format --check .

types: $(VENV)/ready  ## mypy --strict
	@$(PY) -m mypy

check: lint types test  ## lint, types and tests

format: $(VENV)/ready  ## write the format that lint wants
	@$(PY) -m ruff check --fix . && $(PY) -m ruff format .

report: $(VENV)/ready  ## write the report of CONFIG's training again
	@$(QUIET) $(VENV)/bin/recsys report --config $(CONFIG) $(SETTINGS)

serve: $(VENV)/ready  ## the champion of CONFIG over HTTP on http://127.0.0.1:5001; PORT=5002 for another
	@$(QUIET) $(VENV)/bin/recsys serve --config $(CONFIG) $(SETTINGS) --port $(PORT)

ui: $(VENV)/ready  ## MLflow's pages on http://127.0.0.1:5000
	@$(QUIET) $(VENV)/bin/mlflow ui --backend-store-uri $(TRACKING) --host 127.0.0.1 --port 5000

ui-prefect: $(VENV)/ready  ## Prefect's pages on http://127.0.0.1:4200
	@$(PREFECT) $(VENV)/bin/prefect server start --host 127.0.0.1

schedule: $(VENV)/ready  ## one box: Prefect's server and the deployments of prefect.yaml, by their schedules
	@$(PREFECT) $(QUIET) $(PY) -m flows.serve

deploy: $(VENV)/ready  ## tell a running server (PREFECT_SERVER) of the deployments in prefect.yaml
	@$(ON_SERVER) $(VENV)/bin/prefect --no-prompt work-pool inspect recsys </dev/null >/dev/null 2>&1 || \
		$(ON_SERVER) $(VENV)/bin/prefect --no-prompt work-pool create recsys --type process </dev/null
	@$(ON_SERVER) $(VENV)/bin/prefect --no-prompt deploy --all </dev/null

worker: $(VENV)/ready  ## run what a server (PREFECT_SERVER) hands out
	@$(ON_SERVER) $(QUIET) $(VENV)/bin/prefect worker start --pool recsys --type process

lost-runs: $(VENV)/ready  ## end runs whose process is gone though the server believes them running
	@$(ON_SERVER) $(QUIET) $(PY) -m flows.lost

notebooks: $(VENV)/ready  ## run the notebooks and their assertions
	@$(QUIET) $(PY) -m tests.run_notebooks

benchmarks: $(VENV)/ready  ## list the benchmarks; each is one command
	@$(PY) -m benchmarks

clean:  ## remove what runs left: stages, reports, stores (not .venv, .venv-spark)
	rm -rf .recsys .prefect reports scores affinity offers due mlflow.db* mlartifacts mlruns build .pytest_cache .mypy_cache .ruff_cache .hypothesis
