# The verbs of a checkout. `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help setup setup-dev demo check pure test test-all lint format images bench truth torture clean

BIN := .venv/bin
READY := .venv/.installed
READY_DEV := .venv/.installed-dev

help: ## list the verbs
	@echo "make VERB, where VERB is one of"
	@sed -n 's/^\([a-z][a-z-]*\):.*## \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r verb what; do printf '%-11s %s\n' "$$verb" "$$what"; done

setup: $(READY) ## make .venv with simctl in it
setup-dev: $(READY_DEV) ## the same, with what tests and checks need

$(READY): pyproject.toml tools/venv.sh
	@tools/venv.sh

$(READY_DEV): pyproject.toml tools/venv.sh
	@tools/venv.sh dev
	@touch $(READY)

demo: $(READY) ## run one scenario on network namespaces: no Docker needed
	@$(BIN)/simctl run scenarios/idle-close.yaml --runtime netns

# tests/conftest.py says which tests may run beside which, and which are pure.
SIDE_BY_SIDE = -n 2 --dist loadgroup

check: lint pure ## what needs no root and no engine: lint, then the pure tests

lint: $(READY_DEV) ## format, lint, types, and which room imports which
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy --strict
	@$(BIN)/lint-imports

pure: $(READY_DEV) ## the tests that need nothing but Python
	@$(BIN)/python -m pytest -q -m pure $(SIDE_BY_SIDE)

# A test has a time limit, and a first build takes longer than that: what the selected tests need is made before them.
test: $(READY_DEV) ## install what is missing, run the quick tests
	@tools/setup.sh --for-tests
	@$(BIN)/python -m tests.support.needs -m "not slow"
	@$(BIN)/python -m pytest -m "not slow" $(SIDE_BY_SIDE)

test-all: $(READY_DEV) ## the same with the slow tests, which wait for minutes
	@tools/setup.sh --for-tests
	@$(BIN)/python -m tests.support.needs
	@$(BIN)/python -m pytest $(SIDE_BY_SIDE)

format: $(READY_DEV) ## format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

images: $(READY) ## build the images for the runtime docker
	@$(BIN)/simctl images build

bench: $(READY_DEV) ## compare with Mininet, docker-compose and ss
	@tools/setup.sh --for-bench
	@$(BIN)/python -m bench

SEEDS ?= 1-
RUNTIME ?= netns
MINUTES ?= 60
KINDS ?= nodes,kill,files,recordings
SEED ?= 1
truth: $(READY_DEV) ## random programs of sockets against an independent model: SEEDS=1- RUNTIME=netns|vm MINUTES=60
	@$(BIN)/python -m tests.truth --seeds $(SEEDS) --runtime $(RUNTIME) --minutes $(MINUTES) --shrink 20

torture: $(READY_DEV) ## attacks with figures: KINDS=nodes,kill,files,recordings RUNTIME=netns|docker|vm SEED=1 COUNT=
	@$(BIN)/python -m tests.torture --kinds $(KINDS) --runtime $(RUNTIME) --seed $(SEED) $(if $(COUNT),--count $(COUNT))

clean: ## remove what runs and builds left; .venv is made anew next time
	@if [ -x $(BIN)/simctl ]; then $(BIN)/simctl clean || echo "simctl clean failed: see above"; fi
	@rm -rf $(READY) $(READY_DEV) runs dist build .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache .grimp_cache
	@find . -name .venv -prune -o -name .git -prune -o -type d -name __pycache__ -exec rm -rf {} +
