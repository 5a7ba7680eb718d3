# make run   build the environment, run the default study cell, print its table
# make test  build the environment, check notebooks, package and their agreement
# make lab   open the notebooks in JupyterLab
# make advise DATA=path/to/folder MINUTES=30   which augmentation to use on these images: a sentence and one HTML file
#   OPTIONS='-p skip_unreadable True -p size 32' gives it more of the notebook's parameters
# make report STUDY=reports/main   a study's records as an executed notebook, tables and one HTML file
# make plan    the jobs of the whole grid (reports/study.yaml), their hours here, and on more workers
# make bench   time what a study spends its time in, plain against ours
# make gpu MINUTES=30   on a CUDA GPU, in the environment of PYTHON: its tests, its bench, and the grid of Figure 2 for so long

# make docs    the documentation site: one folder of HTML, which needs no network
# Another Python or environment: make run PYTHON=python3.12 VENV=~/envs/ndaug
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
SHELL = /bin/bash -o pipefail
# one file without code, and without the two scripts that nbconvert would load from a network
HTML = --to html --no-input --embed-images --TemplateExporter.exclude_raw=True \
       --HTMLExporter.mathjax_url=data:, --HTMLExporter.require_js_url=data:,
CELL = reports/runs/digits/10/0

STUDY ?= reports/main
DATA ?= digits
MINUTES ?= 30
OPTIONS ?=
# a path for the shell: in quotes, and a quote in it as well
quoted = '$(subst ','\'',$(1))'

.PHONY: run test lab sync advise report bench plan gpu docs

$(VENV)/.ready: settings.ini setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q -e '.[dev]'
	touch $@

run: $(VENV)/.ready
	$(BIN)/papermill nbs/run.ipynb out.ipynb -k python3 -p frac 10 --log-output --no-progress-bar 2>&1 | grep --line-buffered -vE '^(<|Executing Cell|Ending Cell|\[IPKernelApp\]|$$)'
	@$(BIN)/python -c "from ndaug.stats import read_cell; from ndaug.tables import results_table; print(results_table(read_cell('$(CELL)')).to_string())"
	@echo "open $(CURDIR)/out.ipynb (make lab), records are in $(CURDIR)/$(CELL)"

# long lines and unused names; two notebooks, then two files of tests at a time, one thread each: more are far slower
test: $(VENV)/.ready
	$(BIN)/ruff check -q ndaug tests reports setup.py docs
	OMP_NUM_THREADS=1 $(BIN)/nbdev_test --n_workers 2 --do_print --timing
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -n 2 --dist loadfile --durations 12 tests

lab: $(VENV)/.ready
	$(BIN)/jupyter lab --ServerApp.root_dir='$(CURDIR)' --LabApp.default_url=/lab/tree/nbs/run.ipynb

advise: $(VENV)/.ready
	$(BIN)/papermill nbs/advise.ipynb advice.ipynb -k python3 -p dataset $(call quoted,$(DATA)) -p minutes $(MINUTES) $(OPTIONS) --log-output --no-progress-bar 2>&1 | grep --line-buffered -vE '^(<|Executing Cell|Ending Cell|\[IPKernelApp\]|$$)'
	$(BIN)/jupyter nbconvert $(HTML) --TagRemovePreprocessor.remove_cell_tags=not-in-html advice.ipynb
	@echo "open $(CURDIR)/advice.html"

report: $(VENV)/.ready
	$(BIN)/papermill nbs/report.ipynb $(call quoted,$(STUDY)/report.ipynb) -k python3 -p study $(call quoted,$(STUDY)) -p out $(call quoted,$(STUDY)/report) --no-progress-bar
	$(BIN)/jupyter nbconvert $(HTML) $(call quoted,$(STUDY)/report.ipynb)
	@echo open $(call quoted,$(STUDY)/report.html)

plan: $(VENV)/.ready
	$(BIN)/snakemake -s reports/Snakefile --cores all -n -q rules
	$(BIN)/python reports/plan.py

bench: $(VENV)/.ready
	$(BIN)/papermill nbs/60_bench.ipynb bench.ipynb -k python3 --log-output --no-progress-bar 2>&1 | grep --line-buffered -vE '^(<|Executing Cell|Ending Cell|\[IPKernelApp\]|$$)'
	@echo "open $(CURDIR)/bench.ipynb (make lab)"

# builds no environment, since such a machine may have no network: torch, torchvision, pandas, ... are there, and fastai,
# papermill and pytest may have come as wheels
gpu:
	$(PYTHON) -m pytest -q tests/test_gpu.py
	$(PYTHON) -m papermill nbs/62_gpu.ipynb gpu.ipynb -k python3 --log-output --no-progress-bar 2>&1 | grep --line-buffered -vE '^(<|Executing Cell|Ending Cell|\[IPKernelApp\]|$$)'
	$(PYTHON) reports/many.py reports/figure2/mnist.yaml reports/figure2/cifar10.yaml --minutes $(MINUTES)

# no notebook is executed; broken references and dead links fail
docs: $(VENV)/.ready
	OMP_NUM_THREADS=1 $(BIN)/python docs/build.py

# after editing a notebook: modules from notebooks, notebooks without clutter
sync: $(VENV)/.ready
	$(BIN)/nbdev_export
	$(BIN)/nbdev_clean
