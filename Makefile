# make demo   set up and let a neighbourhood trade for a day on the embedded chain
# make test   set up and run every check that needs no node
# make test-nodes  set up Ganache and anvil, and run what needs them: processes, faults, crashes
# make test-page  set up, and look at the page in a browser: Debian's chromium has to be there
# make soak   set up and let a market trade for five minutes while everything fails: MINUTES=60 an hour
# make coverage  set up, and measure which branches of the package the tests take
# make scan   set up, and look for secrets and common mistakes
# make fuzz   set up and make 100,000 random calls to the contract on pyrevm: RULES=1000000 a million
# make prove  set up and prove the contract's properties, for all inputs within their bounds
# make mutants  set up, put small faults into contract and twin, and report which no test notices
# make nodes  set up and install Ganache, anvil and ethers
# make bench  set up, measure the gas of every call, and write the report
# make fuzz-relay  set up, and ask the relay ten thousand made-up requests, which takes minutes
# make fuzz-page   set up, and ask the page's API ten thousand made-up requests, which takes minutes
# make docs   set up and write docs/commands.md anew, after a change of the command line
#
# Each has a virtual environment of its own, made with uv where that is installed
# and with pip otherwise, from versions that are locked with their hashes.

PYTHON ?= python3
ARGS ?=
# One more test process than cores: some tests wait for what runs beside them.
export PYTEST_XDIST_AUTO_NUM_WORKERS ?= $(shell echo $$(($$(getconf _NPROCESSORS_ONLN) + 1)))
RULES ?= 100000
MINUTES ?= 5
# Tests of processes, most of them on Ganache and anvil: they take long, and mostly wait. With them
# go others that take long and have hardly a reason to change.
ON_NODES = tests/integration tests/faults tests/benchmarks/test_baselines.py \
  $(addprefix tests/package/,test_stopping.py test_cli_serve.py test_cli_parties.py \
  test_cli_secrets.py test_simulation.py)
# Tests of the page, which open it in a browser.
IN_BROWSER = tests/web/browser
UV := $(shell command -v uv 2>/dev/null)
SOURCES := $(shell find contracts_vy energy_chain -name '*.vy*' -o -name '*.py' -o -path '*/npm/*.*' -o -path '*/page/*.*')

.PHONY: help demo test test-nodes test-page soak fuzz fuzz-relay fuzz-page prove mutants coverage scan nodes bench docs lock clean

help:
	@sed -n 's/^# make/make/p' Makefile

demo: .venv/ready
	.venv/bin/energy-chain demo $(ARGS)

test: .venv-dev/ready
	.venv-dev/bin/ruff check .
	.venv-dev/bin/ruff format --check .
	.venv-dev/bin/mypy
	.venv-dev/bin/pytest -n auto --dist worksteal \
	  $(or $(ARGS),--contract-coverage $(addprefix --ignore=,$(ON_NODES) $(IN_BROWSER)))

test-nodes: nodes
	ENERGY_CHAIN_NODES=required .venv-dev/bin/pytest -n 4 --dist worksteal \
	  $(or $(ARGS),$(ON_NODES))

test-page: nodes
	ENERGY_CHAIN_BROWSER=required .venv-dev/bin/pytest $(or $(ARGS),$(IN_BROWSER))

soak: nodes
	.venv-dev/bin/python -m tests.soak --minutes $(MINUTES) $(ARGS)

# Without what measures no package, or the same lines again: the contract, nodes, PostgreSQL.
coverage: .venv-dev/ready
	.venv-dev/bin/pytest -n auto --dist worksteal -q --cov --cov-report=term:skip-covered \
	  tests/package tests/relay tests/record -k "not postgres" $(ARGS)

# The hook ends with 3 where a known finding has only moved to another line.
scan: .venv-dev/ready
	.venv-dev/bin/bandit -q -c pyproject.toml -r energy_chain
	.venv-dev/bin/detect-secrets-hook --baseline .secrets.baseline $$(git ls-files) || [ $$? = 3 ]

fuzz: .venv-dev/ready
	.venv-dev/bin/python -m tests.stateful.fuzz --rules $(RULES) $(ARGS)

prove: .venv-prove/locked
	.venv-prove/bin/python -m tests.proofs $(ARGS)

# About 20 minutes on two cores; ARGS=--all, every mutant of the contract, takes half a day.
mutants: .venv-mutants/ready
	.venv-mutants/bin/python -m tests.mutants $(ARGS)

# Needs Node.js.
nodes: .venv-dev/ready
	.venv-dev/bin/energy-chain ganache --install
	npm ci --prefix tests/integration --ignore-scripts --no-audit --no-fund

bench: .venv-dev/ready
	.venv-dev/bin/python -m benchmarks $(ARGS)

fuzz-relay: .venv-fuzz/ready
	.venv-fuzz/bin/python tests/relay/schemathesis_run.py $(ARGS)

fuzz-page: .venv-fuzz/ready
	.venv-fuzz/bin/python tests/web/schemathesis_run.py $(ARGS)

docs: .venv-dev/ready
	.venv-dev/bin/typer energy_chain.cli utils docs --name energy-chain --output docs/commands.md

# An environment with what a lock file says: $(call environment,FOLDER,LOCK FILE).
define environment
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' || \
	  { echo "error: $(PYTHON) is not Python 3.11 or 3.12: run make PYTHON=python3.11"; exit 2; }
	@echo "setting up $(1), which takes up to a minute"
	rm -rf $(1)
	$(if $(UV),$(UV) venv -q --python $(PYTHON) $(1),$(PYTHON) -m venv $(1))
	$(call pip,$(1)) --require-hashes -r $(2)
	touch $@
endef

# Installs into an environment: $(call pip,FOLDER) WHAT.
pip = $(if $(UV),$(UV) pip install -q --python $(1)/bin/python,$(1)/bin/python -m pip install -q)

.venv/locked: requirements.lock
	$(call environment,.venv,requirements.lock)

.venv/ready: .venv/locked pyproject.toml $(SOURCES)
	$(call pip,.venv) --no-deps --no-build-isolation --force-reinstall .
	touch $@

.venv-dev/locked: requirements-dev.lock
	$(call environment,.venv-dev,requirements-dev.lock)

.venv-dev/ready: .venv-dev/locked pyproject.toml
	$(call pip,.venv-dev) --no-deps --no-build-isolation --editable .
	touch $@

# Apart from the tests: Schemathesis comes with a plugin that pytest would load with all of them.
.venv-fuzz/locked: requirements-fuzz.lock
	$(call environment,.venv-fuzz,requirements-fuzz.lock)

.venv-fuzz/ready: .venv-fuzz/locked pyproject.toml
	$(call pip,.venv-fuzz) --no-deps --no-build-isolation --editable .
	touch $@

# halmos wants versions of its own of what web3 wants too.
.venv-prove/locked: tests/proofs/requirements.lock
	$(call environment,.venv-prove,tests/proofs/requirements.lock)

.venv-mutants/locked: requirements-dev.lock tests/mutants/requirements.lock
	$(call environment,.venv-mutants,requirements-dev.lock -r tests/mutants/requirements.lock)

.venv-mutants/ready: .venv-mutants/locked pyproject.toml
	$(call pip,.venv-mutants) --no-deps --no-build-isolation --editable .
	touch $@

LOCK = uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate --no-header

# Needs uv.
lock:
	$(LOCK) --extra build -o requirements.lock pyproject.toml
	$(LOCK) --extra build --extra dev -o requirements-dev.lock pyproject.toml
	$(LOCK) --extra build --extra dev --extra fuzz -o requirements-fuzz.lock pyproject.toml
	awk '/^[a-z]/ { wanted = /^psycopg/ } wanted' requirements-dev.lock > deploy/postgres.lock
	$(LOCK) -o tests/proofs/requirements.lock tests/proofs/requirements.in
	$(LOCK) -c requirements-dev.lock -o tests/mutants/requirements.lock tests/mutants/requirements.txt

clean:
	rm -rf .venv .venv-dev .venv-fuzz .venv-prove .venv-mutants .mutants mutants .pytest_cache \
	  .mypy_cache .ruff_cache .hypothesis dist tests/integration/node_modules
