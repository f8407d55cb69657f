# make run    sets up .venv and runs the default study
# make test   sets up .venv, checks style, runs all tests
# make gpu    adds what the CUDA kernels need
PYTHON ?= python3
CORES ?= $(shell nproc)
VENV := .venv
STAMP := $(VENV)/.installed
BIN := $(VENV)/bin

.PHONY: run test setup gpu lint clean

setup: $(STAMP)

$(STAMP): envs/requirements.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r envs/requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

gpu: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r envs/gpu.txt

run: $(STAMP)
	$(BIN)/snakemake --cores $(CORES)

test: lint
	$(BIN)/python -m pytest

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/snakemake --lint

clean:
	rm -rf $(VENV) results/default logs/default
