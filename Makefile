# The verbs of a checkout. `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help setup setup-dev demo test test-all lint format images bench clean test-needs

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

# tests/conftest.py says which tests may run beside which.
SIDE_BY_SIDE = -n 2 --dist loadgroup

test: test-needs ## install what is missing, run the quick tests
	@$(BIN)/python -m pytest -m "not slow" $(SIDE_BY_SIDE)

test-all: test-needs ## the same with the slow tests, which wait for minutes
	@$(BIN)/python -m pytest $(SIDE_BY_SIDE)

# Images are made before the tests: a test has a time limit, and a first build takes longer than that. The quick tests
# run these kinds in containers; the slow ones run all.
test: IMAGES := host origin jetty requests probe
test-all: IMAGES :=
test-needs: $(READY_DEV)
	@tools/setup.sh --for-tests
	@if [ "$$(id -u)" = 0 ] && tools/setup.sh --engine-answers; then \
	  $(BIN)/simctl images build $(IMAGES) || echo "the images could not be built: tests on docker will fail"; fi
	@if command -v qemu-system-x86_64 >/dev/null; then \
	  $(BIN)/simctl vm build || echo "the virtual machine could not be made: tests on vm will fail"; fi

lint: $(READY_DEV) ## format, lint and type checks
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy --strict

format: $(READY_DEV) ## format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

images: $(READY) ## build the images for the runtime docker
	@$(BIN)/simctl images build

bench: $(READY_DEV) ## compare with Mininet, docker-compose and ss
	@tools/setup.sh --for-bench
	@$(BIN)/python -m bench

clean: ## remove what runs and builds left; .venv is made anew next time
	@if [ -x $(BIN)/simctl ]; then $(BIN)/simctl clean || echo "simctl clean failed: see above"; fi
	@rm -rf $(READY) $(READY_DEV) runs dist build .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find . -name .venv -prune -o -name .git -prune -o -type d -name __pycache__ -exec rm -rf {} +
