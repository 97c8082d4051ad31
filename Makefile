# Two commands need nothing prepared but Python 3.11 or later, pip and make: `make demo` and `make test`.

# The first that runs and is recent enough; a name alone may be a shim with nothing behind it.
RECENT := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(or $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c '$(RECENT)' 2>/dev/null && echo $$p && break; done),$(error No Python 3.11 or later was found))
# A uv that is there is used; else pip fetches it into the repository, since a bare Debian can make no virtual environment.
UV := $(or $(shell command -v uv 2>/dev/null),.tools/bin/uv)
BIN := .venv/bin

.PHONY: demo picture cards test soak bench bench-chat bench-files bench-load bundle check format docs lock lock-npm clean
.DEFAULT_GOAL := test

demo: .venv/ready  ## the server, a real client and three personas, with no key and no network
	@$(BIN)/octave-personas-mcp demo

picture: .venv/ready  ## the README's picture: a chat with the persona cards, drawn anew
	@PYTHONPATH=tests $(BIN)/python -m support.picture

cards: .venv/ready  ## the page of the persona cards, from its sources in cards/
	@PYTHONPATH=tests $(BIN)/python -m support.cards_page

# What tests need comes with them as wheels or from npm. What cannot be had on this machine is left out, and said at the
# end; then coverage is shown and not required, except for Docker, whose tests cover nothing. Tests wait more than they
# compute, so two cores have three at a time.
test: check  ## every gate: formatting, lint, types, tests, branch coverage
	@$(MAKE) --no-print-directory --keep-going tests/clients/.venv/ready tests/clients/tasks/.venv/ready || true
	@rm -f .coverage .coverage.* .left-out
	@$(BIN)/coverage run -m pytest -n 3 --dist loadgroup
	@$(BIN)/coverage combine -q
	@$(BIN)/coverage report $$(grep -v Docker .left-out | grep -q 'reached\|install' && echo --fail-under=0)
	@cat .left-out

soak: .venv/ready  ## the counting of tests/soak, for longer
	@SOAK_ROUNDS=$${SOAK_ROUNDS:-2000} $(BIN)/python -m pytest -q tests/soak

bench-files: .venv/ready  ## tokens that a model writes for one persona from a long text, and from a file
	@PYTHONPATH=tests $(BIN)/python -m bench.files

bench: bench-chat bench-load bench-files  ## beside what else there is; BENCH has options, and --help tells those of each

bench-chat bench-load: bench-%: .venv/ready tests/bench/.venv/ready tests/bench/.plain/ready  ## stdio; HTTP under load
	@PYTHONPATH=tests $(BIN)/python -m bench.$* $(BENCH)

bundle: .venv/ready  ## dist/octave-personas.mcpb, for Claude Desktop
	@PYTHONPATH=tests $(BIN)/python -m support.bundle

check: .venv/ready  ## formatting, lint and types
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy octave_mcp tests examples

format: .venv/ready  ## put the code in order
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

docs: .venv/ready  ## the tables in the documentation, from the code
	@PYTHONPATH=tests $(BIN)/python -m support.documents

lock: $(UV)  ## take the newest dependencies that pyproject.toml allows; hashes, and no registry's name
	@$(UV) pip compile --quiet --universal --python-version 3.11 --upgrade --generate-hashes \
		--no-annotate --group dev --extra postgres --extra documents --extra otel --custom-compile-command 'make lock' --output-file requirements.lock pyproject.toml
	@$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
		--extra postgres --extra documents --extra otel --constraint requirements.lock --custom-compile-command 'make lock' \
		--output-file deploy/requirements.lock pyproject.toml
	@echo hatchling | $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
		--constraint requirements.lock --custom-compile-command 'make lock' --output-file deploy/build.lock -

clean:  ## back to a fresh clone
	@rm -rf .venv .tools .coverage .coverage.* .left-out .mypy_cache .pytest_cache .ruff_cache .hypothesis dist \
		tests/bench/.venv tests/bench/.plain tests/clients/.venv tests/clients/tasks/.venv \
		tests/npm/node_modules

lock-npm: .venv/ready  ## the same for what tests take from npm
	@PYTHONPATH=tests $(BIN)/python -m support.npm

.venv/ready: requirements.lock pyproject.toml | $(UV)
	@rm -rf .venv
	@$(UV) venv --quiet --python "$(PYTHON)" --no-python-downloads .venv
	@$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

tests/bench/.venv/ready tests/clients/.venv/ready tests/clients/tasks/.venv/ready: %/.venv/ready: %/requirements.lock | .venv/ready $(UV)
	@rm -rf $(@D)
	@$(UV) venv --quiet --python $(BIN)/python --no-python-downloads $(@D)
	@$(UV) pip install --quiet --python $(@D)/bin/python --require-hashes -r $<
	@touch $@

# What a user has, and no tool of ours: httpx and mcp load more where they find it.
tests/bench/.plain/ready: deploy/requirements.lock | .venv/ready $(UV)
	@rm -rf $(@D)
	@$(UV) venv --quiet --python $(BIN)/python --no-python-downloads $(@D)
	@$(UV) pip install --quiet --python $(@D)/bin/python --require-hashes -r $<
	@touch $@

.tools/bin/uv:
	@PIP_ROOT_USER_ACTION=ignore $(PYTHON) -m pip install --quiet --disable-pip-version-check --target .tools "uv==0.13.9"
