VENV ?= .venv
PYTHON ?= python3
# Any torch from 1.13 on works (make matrix).
TORCH ?= torch==2.13.0
BIN := $(VENV)/bin

.PHONY: demo test test-all coverage test-faults matrix fuzz lint docs clean

# R(2+1)D against f-R2D on videos that only motion tells apart: about four minutes on two cores.
demo: $(VENV)/demo.installed
	@PATH="$(abspath $(BIN)):$$PATH" tools/demo.sh

# `make test` leaves out the tests that are marked slow. `make test-all` runs the tests that need
# torchvision in a separate environment, because mmengine cannot import torchvision's builds for CPUs.
test: $(VENV)/test.installed
	$(BIN)/python -m pytest -n 2 --dist loadfile $(COVERAGE)

test-all: $(VENV)/test.installed $(VENV)-extras/extras.installed
	$(BIN)/python -m pytest -m '' -n 2 --dist loadfile $(COVERAGE)
	$(VENV)-extras/bin/python -m pytest -n 2 tests/extras

# The quick tests, and the lines of the package that they leave out.
coverage: COVERAGE := --cov
coverage: test

# Kills, full disks and damaged videos, in minutes, with a count of survived faults at the end.
test-faults: $(VENV)/test.installed
	$(BIN)/python -m pytest -n 2 tests/faults

# Installs, trains and tests with each Python and torch of a table, or with those in NAMES.
# Needs uv, and downloads some gigabytes for each.
matrix:
	$(PYTHON) tests/matrix/run.py $(NAMES)

# Each reader of untrusted files under a coverage-guided fuzzer, a minute each.
fuzz: $(VENV)/fuzz.installed
	for target in annotations pickles weight_files; do \
		$(BIN)/python tests/fuzz/run.py $$target --seconds 60 || exit 1; \
	done

lint: $(VENV)/dev.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/shellcheck .ci/run tools/*.sh tools/benchmark/*.sh
	$(BIN)/codespell
	$(BIN)/proselint check --config .proselintrc.json *.md docs/*.md docs/study/*.md model_cards/*.md

# The site, in build/site; a broken link is an error.
docs: $(VENV)/docs.installed
	$(BIN)/mkdocs build --strict

$(VENV)/demo.installed: EXTRAS := lite
$(VENV)/test.installed: EXTRAS := test
$(VENV)/fuzz.installed: EXTRAS := fuzz
$(VENV)/dev.installed: EXTRAS := dev
$(VENV)/docs.installed: EXTRAS := docs
$(VENV)-extras/extras.installed: EXTRAS := lite,test,pytorchvideo
%.installed: pyproject.toml
	@test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	@echo "Installing .[$(EXTRAS)] into $(@D); log: $@.log"
	@$(@D)/bin/pip install $(TORCH) --editable '.[$(EXTRAS)]' > $@.log 2>&1 || { tail -n 30 $@.log; exit 1; }
	@touch $@

clean:
	rm -rf $(VENV) $(VENV)-extras build *.egg-info
