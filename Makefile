# make demo : set up .venv, then a recipe in, a verdict and a page out (CPU, minutes)
# make test : set up .venv, then the tests; TIERS="not gpu" for every tier but the accelerator's,
#             WORKERS=0 for one process (a debugger), more where there are cores and memory (2 GiB each)
PYTHON ?= python3
PY := .venv/bin/python
TIERS ?= not slow and not gpu and not browser and not data
WORKERS ?= 2
export HF_HUB_OFFLINE ?= 1
export TOKENIZERS_PARALLELISM ?= false
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: demo smoke test lint benchmarks

# The stamp is written last: a broken installation is taken up again, a finished one is left alone.
.venv/ready: pyproject.toml constraints.txt
	test -x $(PY) || $(PYTHON) -m venv .venv
	$(PY) -m pip install --quiet --disable-pip-version-check "$$(grep '^torch==' constraints.txt)"
	$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,track,quantise,deepspeed]'
	touch $@

.PHONY: .venv
.venv: .venv/ready

demo: .venv/ready
	$(PY) -m eval.cli run recipes/demo.yaml

smoke: .venv/ready
	$(PY) -m eval.cli run recipes/smoke.yaml --gate --junit runs/smoke/junit.xml

# Each file's tests stay in one process, which shares what is made for them; each process has one thread.
test: export OMP_NUM_THREADS ?= 1
test: .venv/ready
	$(PY) -m pytest -m "$(TIERS)" -n $(WORKERS) --dist loadfile

lint: .venv/ready
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

benchmarks: .venv/ready
	$(PY) -m tests.benchmarks
