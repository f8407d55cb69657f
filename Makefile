# make run    sets up .venv and runs the default study
# make quick  sets up .venv, checks style, runs the unit tests but the slow ones: a minute or so
# make test   sets up .venv, checks style and rules, runs all tests: some ten minutes on two cores
# make gpu    adds what the CUDA kernels need
# make docs   builds the documentation as a site: site/index.html
# make config-docs  writes config/schema.json, config/config.default.yaml, docs/configuration.md,
#             docs/command_line.md
# make lock   looks up the hashes after a change of envs/*.in; needs uv
PYTHON ?= python3
CORES ?= $(shell nproc)
VENV := .venv
STAMP := $(VENV)/.installed
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# Snakemake and matplotlib keep caches in the user's: where that cannot be written, here
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)
ifneq ($(shell mkdir -p "$(CACHE)" 2>/dev/null && test -w "$(CACHE)" && echo yes),yes)
export XDG_CACHE_HOME := $(CURDIR)/.poreflux/cache
endif
# A file that is not one of those published under its version is refused. Where others are
# wanted: make setup HASHED= PINS=envs/requirements.in
HASHED := --require-hashes --no-deps
PINS := envs/requirements.txt

.PHONY: run test quick setup gpu lint style docs config-docs lock clean

setup: $(STAMP)

$(STAMP): $(PINS) pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the pinned packages into $(VENV): about 3 GB, some minutes"
	$(PIP) $(HASHED) -r envs/torch-cpu.txt || echo "torch will be that of PyPI"
	$(PIP) $(HASHED) -r $(PINS) || { echo "Without hashes: make setup HASHED= PINS=envs/requirements.in"; exit 1; }
	# and, where this build of torch asks for them, the CUDA libraries
	$(PIP) --no-build-isolation --editable .
	# so that no job of the first run has to
	$(BIN)/python -m poreflux.run.compile_kernels
	touch $@

gpu: $(STAMP)
	$(PIP) $(HASHED) -r envs/gpu.txt

run: $(STAMP)
	$(BIN)/poreflux run --cores $(CORES)

# One worker more than cores: a test that waits, for SLURM say, leaves its core to another.
test: lint
	$(BIN)/python -m pytest -n $$(( $(CORES) + 1 ))

quick: style
	$(BIN)/python -m pytest -n $(CORES) -m "not slow" tests/unit

lint: style
	$(BIN)/snakemake --lint

style: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules

docs: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

config-docs: $(STAMP)
	$(BIN)/python -m poreflux.run.config_docs

lock:
	envs/lock

clean:
	rm -rf $(VENV) results/default logs/default
