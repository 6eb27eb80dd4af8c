# make demo | make test | make check | make bench: each sets the machine up first if it has to.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SPARK := $(VENV)/.spark
PERSONS ?= 20000
HOSPITALS ?= 5

.PHONY: demo test test-slow check format bench lock clean
.DEFAULT_GOAL := demo

$(READY): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Dure needs Python 3.11 or later; " + sys.executable + " is " + sys.version.split()[0] + ". Run: make PYTHON=/path/to/python3.11") if sys.version_info < (3, 11) else None'
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "Python's venv is missing. On Debian: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $(READY)

# Spark is 450 MB, and only its tests and types need it here.
$(SPARK): $(READY) requirements/spark.txt
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/spark.txt
	@touch $(SPARK)

demo: $(READY)
	$(BIN)/dure demo --persons $(PERSONS) --hospitals $(HOSPITALS) $(if $(ONCE),--once)

test: $(SPARK)
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow"

test-slow: $(SPARK)
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m slow

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY)
	$(BIN)/python -m benchmarks

lock: $(READY)
	$(BIN)/uv pip compile pyproject.toml --extra report --extra hub --extra node --extra postgres --universal --generate-hashes --no-header --no-emit-index-url --quiet --upgrade -o requirements/runtime.txt
	$(BIN)/uv pip compile pyproject.toml --extra report --extra hub --extra node --extra postgres --group dev --universal --generate-hashes --no-header --no-emit-index-url --quiet --upgrade -o requirements/dev.txt
	$(BIN)/uv pip compile pyproject.toml --extra spark --constraint requirements/dev.txt --universal --generate-hashes --no-header --no-emit-index-url --quiet --upgrade -o requirements/spark.txt

clean:
	rm -rf $(VENV) .demo
