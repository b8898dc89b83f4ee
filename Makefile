# PYTHON names the interpreter that .venv is made with; without it the first CPython ≥ 3.11 on PATH is taken.
PYTHON ?=
export PYTHON

.DEFAULT_GOAL := help
.PHONY: help build demo test lint wheel bench bench-quick chaos soak docs oracle clean

help: ## list these targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

build: ## make .venv with shoal installed
	@scripts/build.sh

demo: build ## run the main example on the standard library's own source
	@.venv/bin/python examples/stdlib_survey.py

test: ## set everything up and pass every test
	@scripts/check.sh

lint: build ## check format, lints, types and dependencies
	@scripts/lint.sh

wheel: build ## build the wheel into dist/
	@scripts/wheel.sh

bench: build ## measure speed beside the machine's floors and its peers (release profile; ROUNDS=7 PEER_ROUNDS= MINUTES=)
	@scripts/bench.sh --page $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(PEER_ROUNDS),--peer-rounds $(PEER_ROUNDS)) \
		$(if $(MINUTES),--minutes $(MINUTES))

bench-quick: build ## shoal and the floors alone, in about a minute
	@scripts/bench.sh --quick

chaos: build ## kill processes of every kind at random moments and at every crash point (ROUNDS=500)
	@SHOAL_CHAOS_ROUNDS=$(or $(ROUNDS),500) .venv/bin/python -m pytest tests/chaos

soak: build ## work for an hour and look that nothing grows (SECONDS=3600)
	@SHOAL_SOAK_SECONDS=$(or $(SECONDS),3600) .venv/bin/python -m pytest -s tests/soak tests/runtime/test_sessions.py tests/runtime/test_spilling.py

docs: build ## build the documentation into docs/_build/html
	@scripts/docs.sh

oracle: build ## run the oracle tests on Ray, too, in an environment of its own
	@scripts/oracle.sh

clean: ## remove everything that these targets made
	rm -rf .venv .oracle target dist docs/_build python/shoal/_core*.so .pytest_cache .ruff_cache .mypy_cache
	find python tests benchmarks examples docs scripts -name __pycache__ -prune -exec rm -rf {} +
