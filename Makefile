# The project's vocabulary: `make` prints it. People, hooks and CI all use these words.
# Needs Python >= 3.11, make and PyPI. Your PIP_* settings are respected; no index is named here.

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
SHELL := /bin/sh

PYTHON ?=
RUNARGS ?= ml-100k --runs runs --seed 7
TESTARGS ?=
FEASTARGS ?=
UPGRADE ?=
IMAGE ?= marquee-python:dev
MONITORING_IMAGE ?= marquee-monitoring-python:dev
SERVING_IMAGE ?= marquee-serving:dev
IMAGEARGS ?=
RUNS ?= runs
SMOKEARGS ?=
UI_PORT ?= 5000
SERVEARGS ?=
LOADARGS ?=

VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/stamps
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input install --quiet
BUSY := $(VENV)/installing
UI_VENV := .venv-ui
UI_STAMP := $(UI_VENV)/installed

# An environment that was moved, lost its interpreter or was interrupted while installing is made anew.
# The stamps go while make reads this, because make looks at a target before it makes what that needs.
ifneq ($(filter-out help clean distclean,$(MAKECMDGOALS)),)
ifneq ($(shell test ! -e $(BUSY) && { $(BIN)/python -c '' && cat $(STAMPS)/venv; } 2>/dev/null),$(CURDIR))
$(shell rm -rf $(STAMPS))
endif
endif

ifneq ($(filter ui,$(MAKECMDGOALS)),)
$(shell $(UI_VENV)/bin/python -c '' 2>/dev/null || rm -f $(UI_STAMP))
endif

.PHONY: help
help: ## List these words
	@awk 'BEGIN {FS = ":.*## "} /^## / {printf "\n%s\n", substr($$0, 4)} \
		/^[a-z][a-z-]*:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

## Use it (each sets up what it needs)

.PHONY: run
run: $(STAMPS)/package ## Real events to a measured, gated bundle (RUNARGS="ml-100k --runs runs --seed 7")
	$(if $(filter docker,$(RUNNER)),MARQUEE_IMAGE=$(IMAGE) )$(BIN)/marquee pipeline run $(RUNARGS) $(if $(RUNNER),--runner $(RUNNER))

.PHONY: image
image: ## The three images, by Docker: steps, steps with Evidently, server (IMAGEARGS="--build-arg BASE=…")
	@revision="$$(git rev-parse HEAD 2>/dev/null || echo unknown)$$(git diff --quiet 2>/dev/null || echo -dirty)"; \
	version="$$(sed -n 's/^version = "\(.*\)"$$/\1/p' pyproject.toml)"; \
	for pair in pipeline=$(IMAGE) monitoring=$(MONITORING_IMAGE) serving=$(SERVING_IMAGE); do \
		docker build --target "$${pair%%=*}" --tag "$${pair#*=}" \
			--build-arg VERSION="$$version" --build-arg REVISION="$$revision" $(IMAGEARGS) . || exit 1; \
	done

.PHONY: image-smoke
image-smoke: $(STAMPS)/venv ## Start those as a cluster would: any user, read-only root; ask, and stop (SMOKEARGS="--json")
	@IMAGE=$(IMAGE) MONITORING_IMAGE=$(MONITORING_IMAGE) SERVING_IMAGE=$(SERVING_IMAGE) \
		$(BIN)/python .ci/image_smoke.py --bundle $(RUNS)/latest/bundle $(SMOKEARGS)

.PHONY: ui
ui: $(UI_STAMP) $(STAMPS)/package ## MLflow's pages on the recorded runs, for this machine only (RUNS=runs UI_PORT=5000)
	@test -f $(RUNS)/mlflow.db || { echo "error: $(RUNS) holds no recorded run: make run makes one" >&2; exit 1; }
	@$(BIN)/marquee registry list --runs $(RUNS) > /dev/null  # MLflow's aliases follow
	@echo "open http://127.0.0.1:$(UI_PORT) and stop with Ctrl-C"
	@MLFLOW_DISABLE_TELEMETRY=true DO_NOT_TRACK=true MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false \
		PYTHONWARNINGS=ignore $(UI_VENV)/bin/python -m mlflow server \
		--host 127.0.0.1 --port $(UI_PORT) --workers 1 --uvicorn-opts '--log-level warning' \
		--backend-store-uri sqlite:///$(abspath $(RUNS))/mlflow.db --no-serve-artifacts \
		--default-artifact-root $(abspath $(RUNS))/mlflow

.PHONY: serve
serve: $(STAMPS)/serving ## The newest run's bundle over HTTP, for this machine only (RUNS=runs SERVEARGS="--http_port 8080")
	@test -f $(RUNS)/latest/bundle/manifest.json || \
		{ echo "error: $(RUNS) holds no finished run: make run makes one" >&2; exit 1; }
	@MARQUEE_RUNS=$(RUNS) $(BIN)/python -m serving --model_dir $(RUNS)/latest $(SERVEARGS) --host 127.0.0.1

.PHONY: loadtest
loadtest: $(STAMPS)/serving ## How fast that is: asks a server that answers, else one of its own (LOADARGS="--rate 100 --seconds 10")
	@test -f $(RUNS)/latest/bundle/manifest.json || \
		{ echo "error: $(RUNS) holds no finished run: make run makes one" >&2; exit 1; }
	@$(BIN)/python -m benchmarks.loadtest --runs $(RUNS) $(LOADARGS)

.PHONY: feast-apply
feast-apply: $(STAMPS)/dev ## Plan and apply feature_repo (FEASTARGS="--profile local --dry-run")
	$(BIN)/marquee features apply $(FEASTARGS)

.PHONY: setup
setup: $(STAMPS)/dev ## Make .venv with the locked dependencies and the development tools

## Work on it

.PHONY: test
test: $(STAMPS)/dev ## Run the tests that need no service, cluster or network (TESTARGS="-k name")
	@mkdir -p build
	$(BIN)/python -m pytest -n 2 --junitxml=build/tests.xml $(TESTARGS)

.PHONY: test-services
test-services: $(STAMPS)/dev ## Run the tests that need services or minutes, with a Redis server of their own
	@mkdir -p build
	@$(BIN)/python .ci/debian.py promtool || echo "the alerts' own tests are skipped" >&2
	$(BIN)/python .ci/with_redis.py $(BIN)/python -m pytest -m "services or slow" \
		--junitxml=build/services.xml $(TESTARGS)

.PHONY: test-cluster
test-cluster: $(STAMPS)/dev ## Run the tests against the cluster of KUBECONFIG, in a namespace of their own
	@mkdir -p build
	$(BIN)/python -m pytest -m cluster -p no:xdist --junitxml=build/cluster.xml $(TESTARGS)

.PHONY: check
check: $(STAMPS)/dev ## Everything that a tool can judge; changes no file
	@before="$$(git status --porcelain; git diff | cksum)"; \
	$(MAKE) --no-print-directory --keep-going lint types imports spelling tree locks dockerfile workflows manifests || exit 1; \
	test "$$before" = "$$(git status --porcelain; git diff | cksum)" || \
		{ echo "a check changed the working tree: see git diff" >&2; exit 1; }

.PHONY: lint
lint: $(STAMPS)/dev ## Format and lint rules, without changing a file
	@status=0; \
	$(BIN)/ruff format --check --quiet --output-format concise . || \
		{ echo "not formatted: run make format" >&2; status=1; }; \
	$(BIN)/ruff check --quiet --output-format concise . || status=1; \
	exit $$status

.PHONY: types
types: $(STAMPS)/dev ## mypy, strict
	$(BIN)/mypy

.PHONY: imports
imports: $(STAMPS)/dev ## Who may import whom (docs/architecture.md)
	$(BIN)/lint-imports --no-logo

.PHONY: spelling
spelling: $(STAMPS)/dev ## Typing errors in code and prose
	$(BIN)/codespell

.PHONY: tree
tree: $(STAMPS)/dev ## No registry host, machine path, pickle or eval in a tracked file
	$(BIN)/python .ci/check_tree.py

.PHONY: locks
locks: $(STAMPS)/dev ## The lock files are in step with pyproject.toml
	$(BIN)/python .ci/locks.py check

.PHONY: dockerfile
dockerfile: $(STAMPS)/dev ## hadolint on the Dockerfile (.hadolint.yaml says which rules are off, and why)
	$(BIN)/hadolint Dockerfile

.PHONY: workflows
workflows: $(STAMPS)/dev ## What GitHub runs: against its schemas, and for what it would give away
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yaml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-actions .github/actions/*/action.yaml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/zizmor --quiet --offline --no-progress --persona regular .github

.PHONY: manifests
manifests: $(STAMPS)/dev ## Kubernetes' manifests: schemas, webhooks' rules, the house's; rendered where kustomize is
	$(BIN)/python -m k8s.checks

.PHONY: render
render: $(STAMPS)/dev ## Every overlay and combination of k8s/ as plain YAML in build/render, by kustomize or kubectl
	$(BIN)/python -m k8s.checks --render-only

.PHONY: format
format: $(STAMPS)/dev ## Format and mend what can be mended by itself
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

.PHONY: lock
lock: $(STAMPS)/dev ## Compile requirements/*.txt from pyproject.toml (UPGRADE=1 for newest versions)
	$(BIN)/python .ci/locks.py compile $(if $(UPGRADE),--upgrade)

.PHONY: bench
bench: $(STAMPS)/dev ## Measure everything that the README states; writes benchmarks/results (two hours)
	$(BIN)/python benchmarks/import_time.py
	$(MAKE) benchmark
	$(BIN)/python -m benchmarks.ablation
	$(BIN)/python -m benchmarks.diversity
	$(BIN)/python -m benchmarks.recommend_speed
	$(BIN)/python -m benchmarks.ranker_speed
	$(BIN)/python -m benchmarks.pipeline_overhead
	$(BIN)/python -m benchmarks.similar_items
	$(BIN)/python -m benchmarks.scale
	$(BIN)/python -m benchmarks.point_in_time
	$(BIN)/python .ci/with_redis.py $(BIN)/python -m benchmarks.feature_state
	$(BIN)/python -m benchmarks.online_features
	$(BIN)/python .ci/with_redis.py $(BIN)/python -m benchmarks.parity
	$(BIN)/python -m benchmarks.serving
	$(BIN)/python -m benchmarks.soak
	$(BIN)/python -m benchmarks.serving_parity
	$(BIN)/python -m benchmarks.experiments
	$(BIN)/python -m benchmarks.canary
	$(BIN)/python -m benchmarks.drift
	$(BIN)/python -m benchmarks.replay
	$(BIN)/python -m benchmarks.trending

.PHONY: benchmark
benchmark: $(STAMPS)/dev ## How well it recommends: published split, temporal protocol, stars; writes benchmarks/results
	$(BIN)/python -m benchmarks.literature
	$(BIN)/python -m benchmarks.quality
	$(BIN)/python -m benchmarks.ratings

.PHONY: hooks
hooks: $(STAMPS)/dev ## Run the checks before each git commit
	$(BIN)/pre-commit install

## Tidy up

.PHONY: clean
clean: ## Remove what tools leave behind; keeps .venv, data and runs
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -not -path './$(UI_VENV)/*' -prune -exec rm -rf {} +

.PHONY: distclean
distclean: clean ## As clean, and remove .venv and .venv-ui, too; keeps data and runs
	rm -rf $(VENV) $(UI_VENV)

# --- setting up: each stamp is written last, so that an interrupted step is repeated ------------------

$(STAMPS)/venv:
	@python=; for name in $(or $(PYTHON),python3.13 python3.12 python3.11 python3); do \
		if $$name -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
		then python=$$name; break; fi; done; \
	test -n "$$python" || { echo "error: no Python >= 3.11 with venv found" \
		"(tried $(or $(PYTHON),python3.13 python3.12 python3.11 python3)): install one or name it," \
		"make PYTHON=/path/to/python3" >&2; exit 1; }; \
	echo "making $(VENV) with $$($$python --version)"; \
	$$python -m venv --clear $(VENV)
	@mkdir -p $(STAMPS) && printf '%s\n' '$(CURDIR)' > $@

$(STAMPS)/core: requirements/core.txt requirements/build.txt | $(STAMPS)/venv
	@echo "installing $$(grep -c '^[a-z]' requirements/core.txt) locked packages (requirements/core.txt)"
	@touch $(BUSY)
	@$(PIP) --require-hashes -r requirements/build.txt -r requirements/core.txt
	@touch $@ && rm -f $(BUSY)

$(STAMPS)/pipeline: requirements/pipeline.txt $(STAMPS)/core
	@echo "installing the pipelines' packages (requirements/pipeline.txt)"
	@touch $(BUSY)
	@$(PIP) --require-hashes -r requirements/pipeline.txt
	@touch $@ && rm -f $(BUSY)

$(STAMPS)/serving: requirements/serving.txt $(STAMPS)/core
	@echo "installing the server's packages (requirements/serving.txt)"
	@touch $(BUSY)
	@$(PIP) --require-hashes -r requirements/serving.txt
	@touch $@ && rm -f $(BUSY)

$(STAMPS)/package: pyproject.toml $(STAMPS)/pipeline
	@echo "installing marquee itself, editable"
	@touch $(BUSY)
	@$(PIP) --no-deps --no-index --no-build-isolation --editable .
	@touch $@ && rm -f $(BUSY)

$(STAMPS)/dev: requirements/dev.txt $(STAMPS)/core | $(STAMPS)/package
	@echo "installing the locked development tools (requirements/dev.txt)"
	@touch $(BUSY)
	@$(PIP) --require-hashes -r requirements/dev.txt
	@touch $@ && rm -f $(BUSY)

# MLflow's pages do not resolve together with the rest: an environment apart, only for `make ui`.
$(UI_STAMP): requirements/ui.txt | $(STAMPS)/venv
	@echo "installing $$(grep -c '^[a-z]' requirements/ui.txt) locked packages (requirements/ui.txt) into $(UI_VENV)"
	@rm -f $@
	@$(BIN)/python -m venv --clear $(UI_VENV)
	@$(UI_VENV)/bin/python -m pip --disable-pip-version-check --no-input install --quiet \
		--require-hashes -r requirements/ui.txt
	@touch $@
