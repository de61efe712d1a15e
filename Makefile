# From a fresh clone, with nothing but make and Python 3.11 or newer:
#
#   make demo     install, then run everything on a synthetic competition
#   make test     install, then run the tests on all cores (make test ARGS="-n 0 -k rle": on one)
#   make lint     install, then check format, style and types
#   make docs     install, then build the documentation into site/, without network
#   make gpu-check  install, then measure goldfold on this machine's GPU into gpu-check/, in eight
#                   minutes (ARGS="--small": for 16 GB; ARGS="--bundle FILE": real data, too)
#   make clean    remove what these made: .venv, demo/, site/ and the tools' caches
#
# PYTHON=python3.12 chooses the interpreter, VENV=DIR another place for the packages.

VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
PYTHONS := $(or $(PYTHON),python3.13 python3.12 python3.11 python3 python)

.DELETE_ON_ERROR:
.PHONY: demo test lint docs gpu-check clean

demo: $(VENV)/installed
	$(BIN)/goldfold demo demo

test: $(VENV)/installed-tools
	$(BIN)/pytest --numprocesses logical --maxprocesses 8 --dist worksteal $(ARGS)

# The types are checked on a regular install, because mypy cannot follow an editable one.
lint: $(VENV)/installed-tools
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	@rm -rf build $(VENV)/typed
	$(PIP) install --no-deps --no-build-isolation --target $(VENV)/typed .
	@rm -rf build
	cd $(VENV)/typed && $(abspath $(BIN))/mypy --config-file $(CURDIR)/pyproject.toml \
		--cache-dir $(CURDIR)/.mypy_cache -p goldfold

# Warnings are errors. A server is needed only for the search: a page in a folder may not read files.
docs: $(VENV)/installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "open site/index.html, or for the search: $(BIN)/python -m http.server --directory site"

gpu-check: $(VENV)/installed-benchmark
	$(BIN)/python benchmarks/gpu_check.py gpu-check $(ARGS)

clean:
	rm -rf $(VENV) demo gpu-check site build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/created:
	@python=; for name in $(PYTHONS); do \
		if "$$name" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' \
			2>/dev/null; then python=$$name; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
		echo "goldfold needs Python 3.11 or newer with its venv module; tried: $(PYTHONS)." >&2; \
		echo "Install one (on Debian and Ubuntu also python3-venv), or name it:" >&2; \
		echo "make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; \
		exit 1; \
	fi; \
	echo "making $(VENV) with $$("$$python" --version)"; \
	"$$python" -m venv --clear $(VENV)
	@touch $@

$(VENV)/installed: $(VENV)/created pyproject.toml constraints.txt
	@echo "installing goldfold and PyTorch into $(VENV); on Linux some GB and some minutes"
	$(PIP) install --constraint constraints.txt --editable .
	@touch $@

$(VENV)/installed-tools: $(VENV)/installed
	$(PIP) install --constraint constraints.txt --editable '.[test,lint]'
	@touch $@

# With the plain loop's albumentations, which goldfold itself does without.
$(VENV)/installed-benchmark: $(VENV)/installed-tools
	$(PIP) install --constraint constraints.txt --editable '.[test,lint,benchmark]'
	@touch $@

$(VENV)/installed-docs: $(VENV)/installed
	$(PIP) install --constraint constraints.txt --editable '.[docs]'
	@touch $@
