# make run      open Mechanoscope (without a display: the guided tour as pictures and a report)
# make test     the gate: everything a change must pass, without a display
# make install  the environment in .venv; PYTHON=... chooses another interpreter
# make bundle   the packaged program in dist/mechanoscope, which has tested itself; make deb: a package of it for Debian
# make deb-check installs that package in a fresh Debian without Python, looks at its window and removes it again
# make hard, bench, latency, tour, clean

SHELL := /bin/sh
SCRIPTS := $(if $(filter Windows_NT,$(OS)),Scripts,bin)
BIN := .venv/$(SCRIPTS)
TOUR := build/tour
PYTHON ?=
export PYTHON

.PHONY: install run test gate libraries hard bench latency tour clean bundle deb archive deb-check

install: .venv/.installed
	@:

.venv/.installed: pyproject.toml packaging/constraints.txt packaging/environment.sh
	@sh packaging/environment.sh .venv dev

.venv-bench/.installed: pyproject.toml packaging/constraints-bench.txt packaging/environment.sh
	@sh packaging/environment.sh .venv-bench bench

.venv-bundle/.installed: pyproject.toml packaging/constraints.txt packaging/environment.sh
	@sh packaging/environment.sh .venv-bundle bundle

run: install
	@if [ "$$(uname -s)" = Linux ] && [ -z "$$DISPLAY$$WAYLAND_DISPLAY" ]; then \
	    echo "There is no display here, so this is the guided tour, drawn offscreen."; \
	    $(MAKE) --no-print-directory tour; \
	else \
	    sh packaging/linux/system-libraries.sh window && exec $(BIN)/mechanoscope; \
	fi

tour: libraries install
	@QT_QPA_PLATFORM=offscreen $(BIN)/mechanoscope tour --out $(TOUR)
	@echo "Pictures: $(TOUR)/*.png    Report: $(TOUR)/report.html"

test: libraries install
	@$(MAKE) --no-print-directory gate

# Compiled modules are kept, whatever the shell says: many tests start processes, which would compile them all anew.
gate:
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright
	$(BIN)/lint-imports
	PYTHONDONTWRITEBYTECODE= QT_QPA_PLATFORM=offscreen \
	    $(BIN)/python -m pytest -q -n auto --maxprocesses 8 --dist worksteal

libraries:
	@sh packaging/linux/system-libraries.sh offscreen

hard: libraries install
	QT_QPA_PLATFORM=offscreen $(BIN)/python -m pytest -q -m hard -o faulthandler_timeout=900

bench: .venv-bench/.installed
	@failed=0; for each in bench patching lens tuned_lens probes sae toy training; do \
	    .venv-bench/$(SCRIPTS)/python tests/benchmarks/$$each.py || failed=1; \
	done; exit $$failed

latency: libraries install
	QT_QPA_PLATFORM=$${QT_QPA_PLATFORM:-offscreen} $(BIN)/python tests/benchmarks/latency.py
	$(BIN)/python tests/benchmarks/start.py

# The packaged program is made anew where anything of it is newer; `make bundle` makes it anew in any case.
FROZEN := dist/mechanoscope/mechanoscope
PARTS := $(shell find engine gui resources packaging -type f -not -path '*/__pycache__/*')

$(FROZEN): $(PARTS)
	@$(MAKE) --no-print-directory bundle

bundle: .venv-bundle/.installed
	@sh packaging/linux/system-libraries.sh window
	.venv-bundle/$(SCRIPTS)/python packaging/build.py

deb: $(FROZEN)
	.venv-bundle/$(SCRIPTS)/python packaging/deb.py dist/mechanoscope --out dist

archive: $(FROZEN)
	.venv-bundle/$(SCRIPTS)/python packaging/archive.py dist/mechanoscope --out dist

deb-check: deb
	sh packaging/linux/deb-check.sh dist build/deb-check

clean:
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache .import_linter_cache
	find engine gui resources tests packaging -name __pycache__ -type d -prune -exec rm -rf {} +
