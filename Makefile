# Everything the project does, one target each; `make` lists them.
# Settings are variables: `make train EVENTS=path`, `make serve PORT=3001`.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
RUN := $(BIN)/python

DATA ?= data
REPORTS ?= reports
PORT ?= 3000
HOST ?= 127.0.0.1
CUSTOMERS ?= 1000
DAYS ?= 150
WORLD ?= baseline
FORMAT := table
SEED := 7
MLFLOW_PORT ?= 5000
MONITOR_PORT ?= 8000
REPETITIONS ?= 2000
USERS ?= 16
PROCESSES ?= 2

# The code sets these too (churn/usage_reporting.py); here they hold for the libraries' own commands.
export BENTOML_DO_NOT_TRACK := true
export DO_NOT_TRACK := 1
export ORT_DISABLE_TELEMETRY := 1
export CHURN_LOG_DIR ?= $(DATA)/predictions
ifdef EVENTS
export EVENTS
endif

# Settings of training: `make train SEED=5` sets CHURN_SEED for the command, whose defaults count without it. By these
# names they come from the command line of make only; what the environment has by such a name, the command refuses.
TRAINING := LABEL HORIZON_DAYS SEED SEARCH TREES DEPTH LEAF WITHOUT POLICY TARGET_PRECISION FALLBACK_POLICY OFFER_COST \
  KEPT_VALUE SUCCESS_RATE TOP_SHARE PROMOTE MLFLOW TIME_LIMIT PROTOCOL SPLITS
define with_prefix
ifeq ($(origin $(1)),command line)
export CHURN_$(1) := $$($(1))
unexport $(1)
endif
endef
$(foreach name,$(TRAINING),$(eval $(call with_prefix,$(name))))

# A group is installed once for each state of its lock; what the larger one holds is not installed again.
DEV := $(VENV)/.dev
DEMO := $(VENV)/.demo

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z_-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; ok = v in ((3, 11), (3, 12)); sys.exit(0 if ok else f"Python 3.11 or 3.12 is needed, found {v[0]}.{v[1]}; name one: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check uv

$(DEMO): requirements/demo.txt | $(BIN)/uv
	@if [ ! -e $(DEV) ]; then \
	  echo "installing what the demo needs"; \
	  VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/uv pip install --quiet --require-hashes -r $<; \
	  $(RUN) -m churn.model.native.build; \
	fi
	@touch $@

$(DEV): requirements/dev.txt churn/model/native/treeshap.c churn/model/native/libraries.json | $(BIN)/uv
	@echo "installing all groups"
	@VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/uv pip install --quiet --require-hashes -r $<
	@$(RUN) -m churn.model.native.build
	@touch $@ $(DEMO)

.PHONY: install
install: $(DEV) ## install all dependency groups into .venv

.PHONY: lock
lock: | $(BIN)/uv ## resolve the dependencies again: hashed, without index addresses
	@export UV_CUSTOM_COMPILE_COMMAND="make lock"; \
	compile="$(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate"; \
	$$compile --group dev --output-file requirements/dev.txt; \
	$$compile --group demo --constraint requirements/dev.txt --output-file requirements/demo.txt; \
	$$compile --constraint requirements/dev.txt --output-file requirements/serve.txt

.PHONY: demo
demo: $(DEMO) ## the whole path, from a log to a drift report, in a few minutes
	$(RUN) -m scripts.demo

# All tests that need Python packages only. The tests of one file stay on one core: they share what they set up.
UNIT := not slow and not integration and not system and not container
PYTEST := $(RUN) -m pytest --numprocesses=$(PROCESSES) --dist=loadfile

.PHONY: test
test: $(DEV) ## run the tests that need Python packages only, on PROCESSES cores; the slowest 15 stand at the end
	$(PYTEST) --durations=15

.PHONY: test-fast
test-fast: $(DEV) ## run the unit tests only: they start no process of ours and fit or simulate nothing large
	$(PYTEST) -m '$(UNIT)'

.PHONY: test-thorough
test-thorough: $(DEV) ## run the same tests, each property on all of its examples (`make test` takes a quarter)
	$(PYTEST) --durations=15 --hypothesis-profile=thorough

.PHONY: test-coverage
test-coverage: $(DEV) ## run the tests and list the lines that none of them runs
	$(PYTEST) --cov --cov-report=term-missing:skip-covered

.PHONY: test-system
test-system: $(DEV) ## watch a running service with the real Prometheus and Alertmanager, the report's pages in Chromium
	$(RUN) -m pytest -m system tests/system

.PHONY: simulate
simulate: $(DEMO) ## write a simulated activity log (CUSTOMERS, DAYS, SEED, WORLD, OUT)
	$(RUN) -m training.simulate --customers $(CUSTOMERS) --days $(DAYS) --seed $(SEED) --world $(WORLD) --out $(or $(OUT),$(DATA)/simulated.json.gz)

.PHONY: featurize
featurize: $(DEMO) ## the log to the training table and the newest features (EVENTS, LABEL, HORIZON_DAYS, FORMAT=requests)
	$(RUN) -m training.featurize --data $(DATA) --format $(FORMAT)

.PHONY: train
train: $(DEV) featurize ## train, evaluate and store the forest (SEED; PROMOTE=1 makes it the champion)
	$(RUN) -m training.train --data $(DATA) --card $(REPORTS)/model_card

.PHONY: find_best_model
find_best_model: $(DEV) featurize ## compare model families with AutoGluon (TIME_LIMIT in seconds)
	$(RUN) -m training.select --data $(DATA) --report $(REPORTS)/selection

.PHONY: all
all: featurize find_best_model train ## featurize, compare model families, train

.PHONY: evaluate
evaluate: $(DEV) $(if $(and $(if $(EVENTS),,1),$(wildcard $(DATA)/training.parquet)),,train) ## report the evaluation (PROTOCOL=whole-history puts the published protocol beside it)
	$(RUN) -m training.evaluate --data $(DATA) --out $(REPORTS)/evaluation $(if $(TRUTH),--truth $(TRUTH))

.PHONY: mlflow
mlflow: $(DEV) ## open the MLflow pages of the runs
	$(RUN) -m training.mlflow_pages --data $(DATA) --host $(HOST) --port $(MLFLOW_PORT)

.PHONY: bento
bento: $(DEMO) ## build the bento of the champion
	$(RUN) -m scripts.bento

.PHONY: serve
serve: $(DEMO) ## serve the champion on PORT
	$(BIN)/bentoml serve service:Churn --host $(HOST) --port $(PORT)

.PHONY: image
image: $(DEMO) ## build the OCI image of the champion (IMAGE, ENGINE) and its bill of materials
	$(RUN) -m scripts.image --beside $(DATA)/images

.PHONY: run-api
run-api: $(DEMO) ## build the image and run a container of it on PORT until interrupted
	@HOST=$(HOST) PORT=$(PORT) $(RUN) -m scripts.image --beside $(DATA)/images --run

.PHONY: test-container
test-container: $(DEV) ## build and run the image with a container engine; installs podman where there is none
	$(RUN) -m pytest -m container tests/container

.PHONY: report
report: $(DEMO) ## the weekly drift report of what was served (WEEK=2018-W44; the newest without; EVENTS, a newer log, judges it; TREATMENTS; CRITICAL_FEATURES)
	$(RUN) -m monitoring.report --log-dir $(CHURN_LOG_DIR) --reports $(REPORTS) $(if $(WEEK),--week $(WEEK)) \
	  $(if $(EVENTS),--events '$(EVENTS)') $(if $(TREATMENTS),--treatments '$(TREATMENTS)') \
	  $(if $(CRITICAL_FEATURES),--critical-features '$(CRITICAL_FEATURES)')

OFFERS ?= $(DATA)/offers.csv
CAMPAIGN := --reports $(REPORTS) --file '$(OFFERS)'

.PHONY: offers
offers: $(DEMO) ## who of a week's list gets an offer, and who is held out (WEEK, DATE, SEED, OFFERS, the campaign's file)
	$(RUN) -m monitoring.offers assign $(CAMPAIGN) --seed $(SEED) $(if $(WEEK),--week $(WEEK)) $(if $(DATE),--date $(DATE))

.PHONY: offers-effect
offers-effect: $(DEMO) ## whether the offers keep customers (EVENTS, a newer log; OFFER_COST and KEPT_VALUE for the profit)
	$(RUN) -m monitoring.offers effect $(CAMPAIGN) --events '$(EVENTS)' \
	  $(if $(OFFER_COST),--offer-cost $(OFFER_COST)) $(if $(KEPT_VALUE),--kept-value $(KEPT_VALUE))

.PHONY: customer
customer: $(DEMO) ## one page about the customer ID, beside the list of who is at risk (ID, WEEK)
	$(RUN) -m monitoring.customer --id '$(ID)' --log-dir $(CHURN_LOG_DIR) --reports $(REPORTS) --offers '$(OFFERS)' $(if $(WEEK),--week $(WEEK))

.PHONY: monitor-ui
monitor-ui: $(DEMO) ## show the weeks in Evidently's own pages on MONITOR_PORT, until interrupted
	$(RUN) -m monitoring.evidently_ui --reports $(REPORTS) --workspace $(DATA)/evidently --host $(HOST) --port $(MONITOR_PORT)

.PHONY: report-schedule
report-schedule: $(DEV) ## make the report every Monday by Prefect's clock, until interrupted (CHURN_REPORT_SCHEDULE=weekly|daily|cron)
	WEEK=$(WEEK) $(RUN) -m monitoring.report_schedule --log-dir $(CHURN_LOG_DIR) --reports $(REPORTS) \
	  $(if $(EVENTS),--events '$(EVENTS)') $(if $(TREATMENTS),--treatments '$(TREATMENTS)')

.PHONY: load-test
load-test: $(DEV) ## a working day's load on the champion, or on URL: table, HTML report, fails on any error (USERS, SECONDS)
	$(RUN) -m load_tests.load_test $(if $(URL),--url $(URL)) --users $(USERS) --seconds $(or $(SECONDS),30) --seed $(SEED) --report $(REPORTS)/load_test.html

.PHONY: bench
bench: $(DEV) ## the service beside its rivals, and explanations beside shap: tables and JSON (SECONDS of each, ROUNDS)
	$(RUN) -m load_tests.bench_serving --seconds $(or $(SECONDS),2) --rounds $(or $(ROUNDS),5) --out $(REPORTS)/bench
	$(RUN) -m load_tests.bench_explain --rounds $(or $(ROUNDS),9) --out $(REPORTS)/bench

.PHONY: soak
soak: $(DEV) ## the champion under full load: memory must stay below 300 MB and flat (SECONDS, WORKERS)
	$(RUN) -m load_tests.soak --seconds $(or $(SECONDS),600) --workers $(or $(WORKERS),1)

.PHONY: attack
attack: $(DEV) ## attack a service of its own, with a well-behaved caller beside: table, fails where an attack succeeds (BODIES)
	$(RUN) -m load_tests.attack --bodies $(or $(BODIES),22000)

.PHONY: bench-report
bench-report: $(DEV) ## how long the weekly report of ROWS predictions takes, and with how much memory
	$(RUN) -m load_tests.bench_report $(if $(ROWS),--rows $(ROWS))

.PHONY: bench-drift
bench-drift: $(DEV) ## how often the drift alarm is right, with Evidently's defaults beside it (REPETITIONS)
	$(RUN) -m load_tests.bench_drift --repetitions $(REPETITIONS)

.PHONY: bench-reasons
bench-reasons: $(DEV) ## whether reasons tell customers apart, and are given again by another fit (EVENTS; the default world)
	$(RUN) -m load_tests.bench_reasons $(if $(EVENTS),--events '$(EVENTS)')

.PHONY: format
format: $(DEV) ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: lint
lint: $(DEV) ## check format, style and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

.PHONY: docs
docs: $(DEMO) ## write the pages of the documentation that are made from the code
	$(RUN) -m scripts.feature_table
	$(RUN) -m scripts.summary_page
	$(RUN) -m scripts.dataset_page
	$(RUN) -m scripts.module_map

.PHONY: clean
clean: ## remove caches and built bentos' leftovers; keeps data, models, reports and the environment
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
