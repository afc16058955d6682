VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin

.PHONY: demo test lint clean

# R(2+1)D against f-R2D on videos that only motion tells apart: about four minutes on two cores.
demo: $(VENV)/demo.installed
	PATH="$(abspath $(BIN)):$$PATH" tools/demo.sh

test: $(VENV)/test.installed
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: $(VENV)/dev.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(VENV)/demo.installed: EXTRAS := lite
$(VENV)/test.installed: EXTRAS := test
$(VENV)/dev.installed: EXTRAS := dev
$(VENV)/%.installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --editable '.[$(EXTRAS)]'
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info
