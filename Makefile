# Set-up and shortcuts: each target makes sure that what it needs is installed, then runs one Python command.
# Without make or apt, the same is: a virtual environment, `pip install --require-hashes -r requirements.lock`,
# `pip install --no-build-isolation --no-deps -e .`, and the command shown by `make -n TARGET`.
#
#   make demo BOARD=host        no cross compiler and no QEMU
#   make test PYTHON=python3.12 choose the interpreter (3.11, 3.12 or 3.13)

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?=
VENV ?= .venv
JOBS ?= 2
BOARD ?=
ARGS ?=

BIN := $(VENV)/bin
STAMP := $(VENV)/.thumbnet-installed
ROOMS := training quantize codegen host_tools
TYPED := codegen host_tools

# The pruning and quantization tools of TensorFlow 2.21 want Keras 2.
export TF_USE_LEGACY_KERAS := 1
export TF_CPP_MIN_LOG_LEVEL ?= 2
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo bench test test-all lint typecheck format install clean distclean system-base system-boards system-checks

help: ## Say what the targets do
	@echo "thumbnet: from a Keras biosignal model to a Cortex-M firmware, with proof"
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' | column -t -s '|'
	@echo "Variables: PYTHON=python3.12  BOARD=host (demo)  JOBS=2 (test)  ARGS='...' (demo, pytest)"

demo: $(if $(filter host,$(BOARD)),system-base,system-boards) install ## Train, compress, generate, build, run on emulated boards, report
	@echo "==> thumbnet demo"
	@$(BIN)/thumbnet demo $(addprefix --board ,$(BOARD)) $(ARGS)

bench: system-boards install ## Measure the example on emulated boards against TensorFlow Lite Micro and recorded figures
	@echo "==> thumbnet bench"
	@$(BIN)/thumbnet bench --check firmware/bench.json $(ARGS)

test: system-checks install lint typecheck ## Lint, types and every fast test
	@echo "==> pytest (fast tests, $(JOBS) processes)"
	@$(BIN)/python -m pytest -q -n $(JOBS) --dist loadfile -m "not slow" $(ARGS)

test-all: system-checks install lint typecheck ## The same with the slow tests
	@echo "==> pytest (all tests, $(JOBS) processes)"
	@$(BIN)/python -m pytest -q -n $(JOBS) --dist loadfile $(ARGS)

lint: install ## Ruff
	@echo "==> ruff"
	@$(BIN)/ruff check $(ROOMS) tests
	@$(BIN)/ruff format --check --quiet $(ROOMS) tests

format: install ## Let ruff put formatting right
	@$(BIN)/ruff check --fix $(ROOMS) tests
	@$(BIN)/ruff format $(ROOMS) tests

typecheck: install ## Mypy, strict in codegen/ and host_tools/
	@echo "==> mypy"
	@mkdir -p build/typecheck/thumbnet
	@for room in $(ROOMS); do ln -sfn ../../../$$room build/typecheck/thumbnet/$$room; done
	@MYPYPATH=build/typecheck $(BIN)/mypy --namespace-packages --explicit-package-bases $(addprefix -p thumbnet.,$(TYPED))

install: $(STAMP) ## The virtual environment with the locked dependencies

$(STAMP): requirements.lock pyproject.toml setup.py | system-base
	@$(find_python); \
	if [ ! -x $(BIN)/python ]; then \
		echo "==> virtual environment $(VENV) with $$($$python --version)"; \
		$$python -m venv $(VENV); \
	fi
	@echo "==> locked Python dependencies (some minutes the first time)"
	@$(BIN)/python -m pip install -q --require-hashes -r requirements.lock
	@echo "==> thumbnet itself, editable"
	@$(BIN)/python -m pip install -qq --no-build-isolation --no-deps -e .
	@touch $@

clean: ## Remove what was built (runs/ and the virtual environment stay)
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis firmware/.pio *.egg-info
	find $(ROOMS) tests firmware -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## Also remove the virtual environment
	rm -rf $(VENV)

# The first interpreter that thumbnet supports, in $$python.
define find_python
python=""; for candidate in $(PYTHON) $(if $(PYTHON),,python3.11 python3.12 python3.13 python3); do \
	if $$candidate -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then \
		python=$$candidate; break; \
	fi; \
done; \
if [ -z "$$python" ]; then \
	echo "make: thumbnet needs Python 3.11, 3.12 or 3.13, found none$(if $(PYTHON), under the name $(PYTHON)); name one with PYTHON=/path/to/python3.11" >&2; \
	exit 1; \
fi
endef

# Installs the apt packages in $$missing, or says in one sentence which they are.
define install_missing
if [ -n "$$missing" ]; then \
	if ! command -v apt-get >/dev/null; then \
		echo "make: this machine lacks what these Debian packages hold:$$missing; install their like, 'thumbnet doctor' and README.md name them for macOS and Windows" >&2; exit 1; \
	elif [ "$$(id -u)" = 0 ]; then as_root=""; \
	elif sudo -n true 2>/dev/null; then as_root="sudo -n"; \
	else \
		echo "make: these packages are missing and need root: sudo apt-get install$$missing" >&2; exit 1; \
	fi; \
	echo "==> apt-get install$$missing"; \
	$$as_root apt-get update -qq; \
	$$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
fi
endef

system-base:
	@missing=""; \
	need() { command -v $$1 >/dev/null 2>&1 || missing="$$missing $$2"; }; \
	need cc build-essential; \
	if [ ! -x $(BIN)/python ]; then \
		found=$$( ($(find_python); echo $$python) 2>/dev/null || true); \
		if [ -z "$$found" ]; then missing="$$missing$(if $(PYTHON),, python3 python3-venv)"; \
		elif ! $$found -c 'import ensurepip, venv' 2>/dev/null; then missing="$$missing python3-venv"; fi; \
	fi; \
	$(install_missing)

system-boards: system-base
	@missing=""; \
	need() { command -v $$1 >/dev/null 2>&1 || missing="$$missing $$2"; }; \
	need arm-none-eabi-gcc gcc-arm-none-eabi; \
	case "$$(arm-none-eabi-gcc -print-file-name=libc_nano.a 2>/dev/null)" in /*) ;; *) missing="$$missing libnewlib-arm-none-eabi";; esac; \
	need qemu-system-arm qemu-system-arm; \
	$(install_missing)

system-checks: system-boards
	@missing=""; \
	need() { command -v $$1 >/dev/null 2>&1 || missing="$$missing $$2"; }; \
	need cppcheck cppcheck; need clang clang; need cmake cmake; \
	$(install_missing)
