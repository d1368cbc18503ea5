# One word for each thing to do.  PYTHON=python3.13 picks another interpreter.
export PYTHON ?= python3
BIN := .venv/bin
# The packages of others want websockets in versions that our own tests do not; and
# pyppeteer wants 10, of which it gets no more than the name.
THIRD := .venv-thirdparty

# Two files of tests run side by side; JOBS=0 runs all in one process.
JOBS ?= 2
PYTEST := $(BIN)/pytest -n $(JOBS) --dist loadfile

demo:        ; @tools/environment && $(BIN)/fullduplex demo
test:        ; @tools/environment test && $(PYTEST) --ignore tests/thirdparty $(ARGS)
pure:        ; @tools/environment test && FULLDUPLEX_IMPL=pure $(PYTEST) --ignore tests/thirdparty $(ARGS)
stress:      ; @tools/environment test && $(BIN)/python -m tests.stress $(ARGS)
lint:        ; @tools/environment test lint && $(BIN)/ruff check && $(BIN)/ruff format --check && $(BIN)/python tools/prose.py
types:       ; @tools/environment test lint && $(BIN)/mypy && $(BIN)/pyright --pythonpath $(BIN)/python
graph:       ; @$(PYTHON) tools/import_graph.py $(ARGS)
conformance: ; @tools/environment test && $(BIN)/python -m conformance $(ARGS)
bench:       ; @tools/environment bench && $(BIN)/python -m bench $(if $(ONLY),--only $(ONLY)) $(ARGS)
fuzz:        ; @tools/environment test fuzz && $(BIN)/python -m tests.fuzz $(ARGS)
properties:  ; @tools/environment test && HYPOTHESIS_PROFILE=long $(BIN)/pytest --timeout 0 tests/properties tests/parity tests/core $(ARGS)
sanitize:    ; @tools/sanitize $(ARGS)
thirdparty:  ; @VENV=$(THIRD) tools/environment thirdparty && $(THIRD)/bin/pip install --quiet --no-deps 'pyppeteer>=2' && $(THIRD)/bin/pytest tests/thirdparty $(ARGS)
docs:        ; @tools/environment && $(BIN)/python -m pydoc -b

.PHONY: demo test pure lint types graph conformance bench fuzz properties sanitize stress thirdparty docs
