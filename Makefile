# Everything sets itself up: Python 3.11+ is all that a machine needs.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
RUN    := $(VENV)/.run.stamp
DEV    := $(VENV)/.dev.stamp
UV     := 0.13.8

# Where Python may not keep what it compiles, each of the hundreds of programs that the tests start
# compiles every module anew, which takes two seconds.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help run dev test check format faults mutants soak fuzz bench fast test-fast pure lock audit clean

help:            ## List the targets
	@grep -E '^[a-z-]+: .*##' Makefile | sed 's/:.*##/\t/'

run: $(RUN)      ## Start the server with its own database on http://127.0.0.1:8080
	@$(BIN)/playhall serve

test: $(DEV)     ## Run the whole suite on a real database
	@$(BIN)/python -m pytest -n 4 --dist loadscope --no-loadscope-reorder

faults: $(DEV)   ## Run the long fault tests (kill, freeze, cut, fill): see docs/explanation/durability.md
	@PLAYHALL_FAULTS=long $(BIN)/python -m pytest tests/faults tests/integration/persistence/test_migrations.py -n 2 --dist loadscope
	@PLAYHALL_FAULTS=long $(BIN)/python -m pytest tests -m long --ignore tests/faults -n 2 --dist loadscope

mutants: $(DEV)  ## Break each mechanism of the log, and see its test fail (MUTANTS="--only NAME"): takes half an hour
	@$(BIN)/python -m tools.mutations $(MUTANTS)

SOAK_MINUTES ?= 60
soak: $(DEV)     ## Let everything fail at random under load for an hour (SOAK_MINUTES=60): nothing grows
	@SOAK_MINUTES=$(SOAK_MINUTES) $(BIN)/python -m pytest tests/faults/test_soak.py -s

fuzz: $(DEV)     ## Run the long fuzzers: many malformed requests and commands
	@PLAYHALL_FUZZ=long $(BIN)/python -m pytest tests/fuzz -n 2 --dist loadscope

dev: $(DEV)      ## Install what the tests need, too

check: $(DEV)    ## The fast loop: format, lint, types, import contracts, tidy and unit tests
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest tests/tidy tests/unit tests/contract

format: $(DEV)   ## Format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(DEV)    ## Measure the targets on a server pinned to one core, beside its peers: see docs/operations/benchmarks.md
	@$(BIN)/python -m loadtest.bench --targets

fast: $(DEV)     ## Compile the path of a move, which is optional: see docs/operations/compiled-build.md
	@$(BIN)/python -m tools.compile_path

# Without TESTS, the whole suite. Afterwards the build is there; `make pure` removes it.
test-fast: fast  ## Run the suite, or TESTS, on the compiled build
	@PLAYHALL_COMPILED=required $(BIN)/python -m pytest -n 4 --dist loadscope --no-loadscope-reorder $(TESTS)

pure:            ## Remove the compiled build: everything runs from the source again
	rm -rf compiled/lib compiled/work

lock: $(DEV)     ## Update the lock files from pyproject.toml
	@$(compile) --upgrade --extra build --extra blockchain --extra stripe --extra images --extra otel -o requirements.lock pyproject.toml
	@$(compile) --extra build --extra blockchain --extra stripe --extra images --extra otel --extra dev -c requirements.lock -o requirements-dev.lock pyproject.toml

# Our own client is locked by its dependencies only: it comes from this checkout, and a folder
# has no hash.
compile = $(BIN)/uv pip compile -q --universal --generate-hashes --no-header --no-annotate \
	  --no-emit-index-url --no-emit-package playhall

SERVICE ?= pypi
audit: | $(VENV)/bin/uv  ## Check the locked packages for known vulnerabilities; needs network access
	@$(BIN)/python tools/audit.py $(BIN)/uv $(SERVICE) requirements.lock requirements-dev.lock

clean: pure      ## Delete everything that was created here, including the database
	rm -rf $(VENV) .playhall .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

$(VENV)/bin/uv:
	@echo "Making the environment (once) ..."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Playhall needs Python 3.11 or newer: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV)

$(RUN): requirements.lock pyproject.toml clients/python/pyproject.toml | $(VENV)/bin/uv
	@$(call install,requirements.lock)
	@touch $@

$(DEV): requirements-dev.lock pyproject.toml clients/python/pyproject.toml | $(VENV)/bin/uv
	@$(call install,requirements-dev.lock)
	@touch $@ $(RUN)

# uv is quick; pip knows settings that uv does not read (mirrors, certificates).
install = { $(BIN)/uv pip install --quiet --system-certs --python $(BIN)/python --require-hashes -r $(1) 2>/dev/null \
	  || $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(1); } \
	&& $(editable) -e clients/python && $(editable) -e .

# One after the other: the server was once called `playhall` as well. Where pip finds that one, it has
# to be gone before the server brings its command.
editable = $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation
