# make run      open Mechanoscope (without a display: the guided tour as pictures and a report)
# make test     the gate: everything a change must pass, without a display
# make install  the environment in .venv; PYTHON=... chooses another interpreter
# make hard, bench, latency, tour, clean

SHELL := /bin/sh
BIN := .venv/bin
TOUR := build/tour
PYTHON ?=
export PYTHON

.PHONY: install run test gate libraries hard bench latency tour clean

install: .venv/.installed
	@:

.venv/.installed: pyproject.toml packaging/constraints.txt packaging/environment.sh
	@sh packaging/environment.sh .venv dev

.venv-bench/.installed: pyproject.toml packaging/constraints-bench.txt packaging/environment.sh
	@sh packaging/environment.sh .venv-bench bench

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

gate:
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright
	$(BIN)/lint-imports
	QT_QPA_PLATFORM=offscreen $(BIN)/python -m pytest -q -n auto --maxprocesses 8 --dist worksteal

libraries:
	@sh packaging/linux/system-libraries.sh offscreen

hard: libraries install
	QT_QPA_PLATFORM=offscreen $(BIN)/python -m pytest -q -m hard -o faulthandler_timeout=900

bench: .venv-bench/.installed
	@failed=0; for each in bench patching lens tuned_lens probes sae toy training; do \
	    .venv-bench/bin/python tests/benchmarks/$$each.py || failed=1; \
	done; exit $$failed

latency: libraries install
	QT_QPA_PLATFORM=$${QT_QPA_PLATFORM:-offscreen} $(BIN)/python tests/benchmarks/latency.py

clean:
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache .import_linter_cache
	find engine gui resources tests packaging -name __pycache__ -type d -prune -exec rm -rf {} +
