# What developers and first-time users run. Everything is installed into .venv.
.DELETE_ON_ERROR:
PYTHON ?= python3
RUN := .venv/bin/python -m

.PHONY: demo report test test-oldest test-package test-faults test-cluster soak fuzz mutants check quality train truth bench bench-memory bench-static-masks bench-run bench-cluster bench-planning figures docs pages lock release-notes clean

demo: .venv/workflow ## mask the built-in night
	$(RUN) snakemake --cores all
	$(RUN) snakemake --report results/report.html --quiet all

report: .venv/workflow ## results/report.html, of what is there
	$(RUN) snakemake --report results/report.html --quiet all

test: .venv/test ## all tests but those that take longer or need programs of the system, which .ci/run runs
	$(RUN) pytest --numprocesses auto --dist worksteal --ignore tests/test_report.py --ignore tests/test_other_tools.py \
		--ignore tests/test_upstream.py --ignore tests/test_tutorials.py --ignore tests/test_repeats_of_a_night.py \
		--ignore tests/test_quality_of_a_night.py --deselect tests/test_reference.py::test_efosc2_without_masks

test-oldest: .venv-oldest/test ## the demo night, and the tests of the workflow, on the oldest Snakemake that pyproject.toml allows
	cd .venv-oldest && bin/python -m snakemake --snakefile ../Snakefile --cores all --config frames=results/demo
	.venv-oldest/bin/python -m pytest --numprocesses auto --dist worksteal \
		tests/test_workflow.py tests/workflow/test_workarounds.py tests/workflow/test_progress.py tests/workflow/test_plan.py

KILLS = 50
test-faults: .venv/test ## kill, starve and move runs
	KILLS=$(KILLS) $(RUN) pytest tests/faults --numprocesses auto --dist worksteal

test-cluster: .venv/slurm ## in batches, here and on a Slurm that the tests start, which needs root and slurm-wlm
	$(RUN) pytest tests/cluster

test-package: .venv/test ## build the wheel, install it in empty environments, and use it there
	$(RUN) pytest tests/package

bench-planning: .venv/test ## planning 10,000 frames against a bare Snakefile
	.venv/bin/python tests/benches/bench_planning.py

bench-cluster: .venv/slurm ## batches against groups and no Slurm, on the same
	.venv/bin/python tests/benches/bench_slurm.py

soak: KILLS = 500
soak: .venv/test ## kill the demo night at 500 random moments; takes hours
	KILLS=$(KILLS) $(RUN) pytest tests/faults/test_killed.py -k any_moment

SECONDS = 60
fuzz: .venv/fuzz ## feed the reader of FITS files with bytes that atheris makes
	.venv/bin/python tests/rubbish/fuzz_fits.py $(SECONDS)

SAMPLE =
SEED = 1
mutants: .venv/mutants ## change the library and see whether tests notice: all of it, which takes days, or SAMPLE=60
	.venv/bin/python tests/mutants.py $(if $(SAMPLE),--sample $(SAMPLE)) --seed $(SEED) $(MODULES)

check: .venv/test ## what needs no test run: lint, format, types
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) snakefmt --check Snakefile rules
	$(RUN) mypy
	$(RUN) snakemake --lint

quality: .venv/test ## how often faults of masks are reported: the tables of docs/quality.md
	.venv/bin/python tests/benches/bench_quality.py

train: .venv/train ## the weights of the detector trace, those without each camera, and their card; takes half an hour
	.venv/bin/python scripts/training/train.py
	.venv/bin/python tests/benches/bench_truth.py --card

PEERS =
truth: .venv/test $(if $(PEERS),.venv-peers/done) ## how right masks are: the tables of docs/accuracy.md; PEERS=1 with other nets
	PEERS=$(PEERS) .venv/bin/python tests/benches/bench_truth.py

bench: .venv/test ## detection and ccdmask against astroscrappy and ccdproc, one thread
	.venv/bin/python tests/benches/bench_lacosmic.py
	.venv/bin/python tests/benches/bench_ccdmask.py

bench-memory: .venv/test ## memory of masking a frame, up to 400 megapixels
	.venv/bin/python tests/benches/bench_memory.py

bench-static-masks: .venv/test ## making masks of up to 100 darks or flats: processor time, reads and memory
	.venv/bin/python tests/benches/bench_static_masks.py

bench-run: .venv/test ## the whole workflow against the chapter's loop
	.venv/bin/python tests/benches/bench_run.py

figures: .venv/test demo ## the README's picture and numbers
	.venv/bin/python docs/figures.py

docs: .venv/docs ## the site of the documentation, site/html/index.html; warnings are errors
	.venv/bin/python docs/site/build.py

pages: .venv/test ## docs/configuration.md, docs/cameras.md, and docs/troubleshooting.md with its pictures
	.venv/bin/python docs/troubleshooting.py --pictures > docs/troubleshooting.md
	.venv/bin/python docs/configuration.py > docs/configuration.md
	.venv/bin/python docs/cameras.py > docs/cameras.md

# Needs uv. Names no package index, so that the lock holds wherever it is used.
LOCK = uv pip compile --universal --fork-strategy fewest --python-version 3.11 \
	--generate-hashes --no-header --no-emit-index-url --no-annotate --quiet
lock: ## pin all dependencies anew
	$(LOCK) pyproject.toml --extra workflow --extra report --output-file envs/requirements.txt
	$(LOCK) pyproject.toml --extra workflow --extra report --extra test --constraint envs/requirements.txt \
		--output-file envs/requirements-test.txt
	$(LOCK) pyproject.toml --extra workflow --extra report --extra slurm --constraint envs/requirements-test.txt \
		--output-file envs/requirements-slurm.txt
	$(LOCK) --group fuzz --output-file envs/requirements-fuzz.txt
	$(LOCK) --group train --constraint envs/requirements-test.txt --output-file envs/requirements-train.txt
	$(LOCK) --group mutants --constraint envs/requirements-test.txt --output-file envs/requirements-mutants.txt
	$(LOCK) --group docs --constraint envs/requirements-test.txt --output-file envs/requirements-docs.txt

	$(LOCK) pyproject.toml --extra workflow --extra report --extra test --constraint envs/oldest.txt \
		--output-file envs/requirements-oldest.txt

release-notes: ## what CHANGELOG.md says of the newest version
	@awk '/^## / {n++} n == 1' CHANGELOG.md

clean:
	rm -rf .venv .venv-oldest .venv-peers results .snakemake site

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "lightmask needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv

# The command `lightmask`; the code behind it stays in the clone.
COMMAND = $(RUN) pip install --quiet --disable-pip-version-check --no-deps --editable .

.venv/workflow: .venv/bin/python envs/requirements.txt pyproject.toml
	$(RUN) pip install --quiet --disable-pip-version-check --require-hashes --requirement envs/requirements.txt
	$(COMMAND)
	touch $@

.venv/test: .venv/bin/python envs/requirements-test.txt pyproject.toml
	$(RUN) pip install --quiet --disable-pip-version-check --require-hashes --requirement envs/requirements-test.txt
	$(COMMAND)
	touch $@ .venv/workflow

.venv-oldest/test: envs/requirements-oldest.txt
	$(PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	touch $@

# Gigabytes: both need PyTorch.
.venv-peers/done:
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check deepCR==0.3.1 cosmic-conn==0.6.1 matplotlib
	touch $@

# Of tests of pages: finds what keeps people from using them.
.venv/axe/done: .venv/test
	npm install --silent --no-fund --no-audit --prefix .venv/axe axe-core@4.14.1
	touch $@

# Not for everybody: it imports pandas at every start of Snakemake.
.venv/slurm: .venv/test envs/requirements-slurm.txt
	$(RUN) pip install --quiet --disable-pip-version-check --require-hashes --requirement envs/requirements-slurm.txt
	touch $@

.venv/fuzz: .venv/test envs/requirements-fuzz.txt
	$(RUN) pip install --quiet --disable-pip-version-check --require-hashes --requirement envs/requirements-fuzz.txt
	touch $@

.venv/train: .venv/test envs/requirements-train.txt
	$(RUN) pip install --quiet --disable-pip-version-check --require-hashes --requirement envs/requirements-train.txt
	touch $@

.venv/docs: .venv/test envs/requirements-docs.txt
	$(RUN) pip install --quiet --disable-pip-version-check --require-hashes --requirement envs/requirements-docs.txt
	touch $@

.venv/mutants: .venv/test envs/requirements-mutants.txt
	$(RUN) pip install --quiet --disable-pip-version-check --require-hashes --requirement envs/requirements-mutants.txt
	touch $@
