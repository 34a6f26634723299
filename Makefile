# Everything a newcomer needs: `make demo` and `make test` set themselves up.
#
# Both build their own .venv (the system Python is left alone), with a CPU build of torch unless an
# NVIDIA GPU is present. A finished set-up is remembered in .venv/ready and made anew when
# pyproject.toml changes.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
# The CPU build of torch that is developed and tested with; another one by TORCH="torch==...".
TORCH ?= $(shell if nvidia-smi -L >/dev/null 2>&1; then echo torch; else echo torch==2.13.0+cpu; fi)

.PHONY: help demo test test-long lint types imports unit fuzz bench bench-latency bench-viewer chaos soak clean

help:
	@echo "make demo       a simulated storm: archive, forecasts, maps, scores (no network once installed)"
	@echo "make test       ruff, mypy --strict, import-linter, pytest with warnings as errors"
	@echo "make test-long  the long forms of the tests"
	@echo "make fuzz       20,000 damaged radar files of all formats, decoded in children"
	@echo "make bench      timings, as ratios against the peers in the same run"
	@echo "make chaos      kill -9 of the service, 500 times and at every named step"
	@echo "make soak       a replayed week of a bad feed: 2,016 cycles, memory and files flat"
	@echo "make clean      remove the environment and what was built"

$(VENV)/ready: pyproject.toml scripts/setup.sh
	PYTHON="$(PYTHON)" VENV="$(VENV)" TORCH="$(TORCH)" sh scripts/setup.sh
	@touch $@

demo: $(VENV)/ready
	$(BIN)/nowcast demo --out demo

test: $(VENV)/ready lint types imports unit

lint: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/ready
	$(BIN)/mypy

imports: $(VENV)/ready
	$(BIN)/lint-imports

# A thread a worker: two workers with two threads each would wait for one another on two cores.
unit: $(VENV)/ready
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -n 2 --dist worksteal -m "not slow" --durations=40

test-long: $(VENV)/ready
	$(BIN)/pytest -q -m slow

# The folder of real data that mutants are made of.
NOWCAST_SHARED_DATA ?= ../shared/data

fuzz: $(VENV)/ready
	$(BIN)/python tests/fuzz/fuzz_run.py --mutants 20000 --data $(NOWCAST_SHARED_DATA)

bench: $(VENV)/ready
	$(BIN)/python -m benchmarks.extrapolation
	$(BIN)/python -m benchmarks.mim_speed
	$(BIN)/python -m benchmarks.training_step
	$(BIN)/python -m benchmarks.ensemble --archive $(NOWCAST_SHARED_DATA)/radar/mch/20150515

# From a frame that is whole to its forecast, published, through a real service.
bench-latency: $(VENV)/ready
	$(BIN)/python -m benchmarks.latency --archive $(NOWCAST_SHARED_DATA)/radar/knmi/2010 $(FLAGS)

# FORECASTS is a folder of forecasts; FLAGS may name their frames: --feed F --archive DIR
bench-viewer: $(VENV)/ready
	$(BIN)/python -m benchmarks.viewer $(FORECASTS) $(FLAGS)

chaos: $(VENV)/ready
	$(BIN)/python -m benchmarks.chaos --kills 500

soak: $(VENV)/ready
	$(BIN)/python -m benchmarks.week --frames 2016

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
