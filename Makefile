# make demo   a whole station on this machine, from a firmware update to a log upload
# make test   the whole test suite
# make check  all that CI runs: format, lint, types, tests with coverage floors, drawings and documents up to date
# make soak   what takes longer: random kills, property tests with many examples
# make deb    the Debian package, in dist/
# make bench  figures beside named peers
#
# JOBS: tests at a time; two more than a small machine has cores, since many of them wait for a peer

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
BIN    := $(VENV)/bin
JOBS   ?= 4

# A strict editable install does not see new files until it is made again: it depends on the list of them.
FILES    := $(sort $(shell find fsm io scheduling diagrams service -name '*.py' -o -name '*.toml' -o -name py.typed))
FILELIST := $(VENV)/files

.PHONY: demo test check soak deb bench format diagrams documents install clean FORCE

demo: install
	$(BIN)/everest-system demo

test: install
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal

check: install
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	cd $(VENV) && bin/mypy --config-file ../pyproject.toml -p everest_system  # from the root, io/ would hide Python's own
	$(BIN)/everest-system diagram --check
	$(BIN)/python -m everest_system.configuration.document | diff docs/configuration.md - \
		|| { echo "docs/configuration.md is out of date: make documents"; exit 1; }
	$(BIN)/python -m everest_system.io.transfers.document | diff docs/transfers.md - \
		|| { echo "docs/transfers.md is out of date: make documents"; exit 1; }
	rm -f .coverage .coverage.*
	COVERAGE_PROCESS_START=$(CURDIR)/pyproject.toml $(MAKE) test PYTEST_ADDOPTS="--cov --cov-report="
	$(BIN)/coverage report --fail-under=95
	$(BIN)/coverage report --include='fsm/*,scheduling/*' --fail-under=100

soak: install
	EVEREST_SYSTEM_SOAK=1 $(BIN)/python -m pytest -n $(JOBS) -m "soak or hypothesis"

deb: install
	@command -v dpkg-deb >/dev/null || { echo "dpkg-deb is not on this machine"; exit 1; }
	PYTHON=$(BIN)/python deploy/debian/build dist

bench: install
	$(BIN)/python -m bench

format: install
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

diagrams: install
	$(BIN)/python -m everest_system.diagrams

documents: install
	$(BIN)/python -m everest_system.configuration.document > docs/configuration.md
	$(BIN)/python -m everest_system.io.transfers.document > docs/transfers.md

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml $(FILELIST) | $(BIN)/python
	@$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	@echo "installing the project and its libraries into $(VENV) ..."
	@PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --config-settings editable_mode=strict \
		--editable '.[demo,diagrams,rauc,simulation]' --group test --group check
	@touch $@

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(FILELIST): FORCE | $(BIN)/python
	@echo '$(FILES)' | cmp -s - $@ || echo '$(FILES)' > $@

clean:
	rm -rf $(VENV) build dist *.egg-info .coverage .coverage.* .hypothesis .*_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
