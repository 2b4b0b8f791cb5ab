# Every target sets up .venv first if need be. PYTHON=/path/to/python chooses the Python for it.

VENV := .venv
STAMP := $(VENV)/.stamp
# Modules are run through Python because the scripts in .venv/bin do not survive a move.
VENV_PYTHON := $(VENV)/bin/python
UV := $(VENV_PYTHON) -m uv
CANDIDATES := $(if $(PYTHON),"$(PYTHON)",python3 python3.13 python3.12 python3.14)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-all docs linkcheck coverage lint types format bench mutants constraints clean FORCE

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' Makefile

demo: $(STAMP) ## Run the example: a printed table and a saved picture
	@$(VENV_PYTHON) examples/quit_smoking.py

test: lint types ## Run what is quick, before each commit: lint, types, tests that are not slow
	$(VENV_PYTHON) -m pytest -m 'not slow'

test-all: lint types ## Run all checks: lint, types, all tests
	$(VENV_PYTHON) -m pytest

# What a build that failed leaves is not built upon: a page that was warned of would count as up
# to date, and pass, the next time.
docs: $(STAMP) ## Build the site, docs/_build/html, and run its tutorials
	@test -e docs/_build/finished || rm -rf docs/_build/html docs/_build/jupyter_execute docs/api/generated
	@rm -f docs/_build/finished
	env -u MPLBACKEND $(VENV_PYTHON) -m sphinx --builder html --fail-on-warning --keep-going --quiet docs docs/_build/html
	@touch docs/_build/finished

linkcheck: $(STAMP) ## Ask every address in the docs whether it is there: needs a network
	$(VENV_PYTHON) -m sphinx --builder linkcheck --quiet -D nb_execution_mode=off docs docs/_build/linkcheck

coverage: $(STAMP) ## Run all tests, and ask them to reach 95% of lines and branches
	$(VENV_PYTHON) -m pytest --cov --cov-report=term-missing:skip-covered --cov-fail-under=95

lint: $(STAMP) ## Check style, formatting, spelling, and who imports whom
	$(VENV_PYTHON) -m ruff check .
	$(VENV_PYTHON) -m ruff format --check .
	$(VENV_PYTHON) -m codespell_lib
	$(VENV_PYTHON) -c 'from importlinter.cli import lint_imports_command; lint_imports_command()' --no-cache --no-logo

types: $(STAMP) ## Check types
	$(VENV_PYTHON) -m mypy

format: $(STAMP) ## Fix what can be fixed, and format
	$(VENV_PYTHON) -m ruff check --fix .
	$(VENV_PYTHON) -m ruff format .

bench: $(STAMP) ## Run the benchmarks
	$(VENV_PYTHON) -m benchmarks.run

mutants: $(STAMP) ## Run the tests on changed code, and list the changes that none notices
	$(UV) pip install --quiet --python $(VENV_PYTHON) -c constraints.txt -e '.[mutation]'
	$(VENV_PYTHON) -c 'from mutmut.__main__ import cli; cli()' run
	$(VENV_PYTHON) -c 'from mutmut.__main__ import cli; cli()' results

constraints: $(STAMP) ## Resolve the newest versions into constraints.txt
	$(UV) pip compile pyproject.toml --extra dev --upgrade --quiet --python $(VENV_PYTHON) \
	    --no-annotate --custom-compile-command 'make constraints' --output-file constraints.txt

clean: ## Remove the environment, caches and build output
	rm -rf $(VENV) build dist docs/_build docs/api/generated mutants .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Some containers set it. Without bytecode on disk each of a dozen processes compiles PyMC and
# scikit-learn anew, which takes it 10 seconds.
unexport PYTHONDONTWRITEBYTECODE

# SciPy reads SCIPY_ARRAY_API once, when it is imported, and scikit-learn's estimator checks
# skip the array API ones without it. pytest cannot set a variable that early.
test test-all coverage mutants: export SCIPY_ARRAY_API := 1
# Threads of BLAS and OpenMP wait for each other, spinning, where workers or other programs have
# the cores: what takes 0.3 s on an idle machine took 21 s on a busy one.
demo test test-all coverage mutants docs: export OMP_NUM_THREADS := 1
demo test test-all coverage mutants docs: export OPENBLAS_NUM_THREADS := 1
# Pictures are drawn to files; a display may be missing.
demo test test-all coverage mutants: export MPLBACKEND := Agg

# The stamp holds the directory that was set up. In a copied or moved tree, whose .venv would
# import the old tree's source, and where .venv no longer starts, set up again.
ifneq ($(shell $(VENV_PYTHON) -c pass 2>/dev/null && cat $(STAMP) 2>/dev/null),$(CURDIR))
$(STAMP): FORCE
endif

# uv is installed into .venv, so that nothing but a Python is needed beforehand.
$(STAMP): pyproject.toml constraints.txt
	@if ! $(VENV_PYTHON) -c 'import pip, sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then \
	    found=; \
	    for candidate in $(CANDIDATES); do \
	        if "$$candidate" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 12))' \
	            2>/dev/null; then found=$$candidate; break; fi; \
	    done; \
	    if [ -z "$$found" ]; then \
	        echo 'No Python 3.12 or newer that can make a venv; tried: $(CANDIDATES).' \
	            'Name one: make PYTHON=/path/to/python' >&2; \
	        exit 1; \
	    fi; \
	    "$$found" -m venv --clear $(VENV) || exit 1; \
	fi
	@echo "Setting up $(VENV) with $$($(VENV_PYTHON) --version); this takes a minute or two"
	@$(VENV_PYTHON) -m pip install --quiet --disable-pip-version-check uv
	@$(UV) pip install --quiet --python $(VENV_PYTHON) -c constraints.txt -e '.[dev]'
	@# Its data and functions are what tests compare with; it would bring all of Jupyter along.
	@$(UV) pip install --quiet --python $(VENV_PYTHON) --no-deps PySensemakr==0.0.8
	@echo '$(CURDIR)' > $@
