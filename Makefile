VENV ?= .venv
PYTHON ?= python3
# Any torch from 1.13 on will do (make matrix).
TORCH ?= torch==2.13.0
BIN := $(VENV)/bin

.PHONY: demo test test-all coverage test-faults matrix fuzz lint docs clean

# R(2+1)D against f-R2D on videos that only motion tells apart: about four minutes on two cores.
demo: $(VENV)/demo.installed
	@PATH="$(abspath $(BIN)):$$PATH" tools/demo.sh

# torchvision has no build for CPUs that mmengine could import, so `make test-all` tests what needs it
# in an environment of its own.
# `make test` leaves out what is marked slow: minutes in place of a quarter of an hour.
test: $(VENV)/test.installed
	$(BIN)/python -m pytest -n 2 --dist loadfile $(COVERAGE)

test-all: $(VENV)/test.installed $(VENV)-extras/extras.installed
	$(BIN)/python -m pytest -m '' -n 2 --dist loadfile $(COVERAGE)
	$(VENV)-extras/bin/python -m pytest -n 2 tests/extras

# The quick tests, and the lines of the package that they leave out.
coverage: COVERAGE := --cov
coverage: test

# Kills, full disks and the like, some minutes of them, with a count of those survived at the end.
test-faults: $(VENV)/test.installed
	$(BIN)/python -m pytest -n 2 tests/faults

# Installs, trains and tests with each Python and torch of a table, or with those that NAMES lists.
# Needs uv, and downloads some gigabytes for each.
matrix:
	$(PYTHON) tests/matrix/run.py $(NAMES)

# Each reader of strangers' files under a coverage-guided fuzzer, a minute each.
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

# The site, in build/site; a broken link ends it.
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
