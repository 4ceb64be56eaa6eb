# make predict FILE=song.mp3   predict the genre of a song (without FILE: three made tracks)
# make test                    format, lint, types and tests, in a few minutes
# make test SLOW=1             the slow tests too, and the coverage, as CI does
# make system                  install the Debian packages that the tests need (ffmpeg, flac, Chromium)
# make full                    the long tests: crashes by the hundred, load, fuzzing
# make fuzz CASES=2000         try mutated files, as many of each kind, on everything that reads files
# make docs                    build the documentation site in build/docs
# make release                 build sdist and wheel reproducibly into dist, and check them
# make image                   take the Dockerfile's steps without a daemon, and check the service
# make notebooks               run the notebooks on made songs
# make bench                   measure the speed against decoding alone and the plain ways
# make mutations               break the code in five ways; the tests must notice each one
# make clean                   remove the environments, caches and made tracks

SHELL := /bin/bash
PYTHON ?= python3
PIP_FLAGS := --quiet --disable-pip-version-check

# The raw text, so that a name with a dollar sign or a space arrives as it was typed.
export GENREKIT_FILE := $(value FILE)

.PHONY: help predict test docs notebooks system full fuzz release image bench mutations clean

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

.venv/.installed: pyproject.toml
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install $(PIP_FLAGS) --editable .
	@touch $@

# The pinned torch is a small CPU build; an unpinned one may pull several GB of CUDA.
.venv-dev/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-dev
	.venv-dev/bin/python -m pip install $(PIP_FLAGS) --constraint constraints.txt torch
	.venv-dev/bin/python -m pip install $(PIP_FLAGS) --constraint constraints.txt --editable '.[dev]'
	@touch $@

.venv-dev/.bench-installed: .venv-dev/.installed
	.venv-dev/bin/python -m pip install $(PIP_FLAGS) --constraint constraints.txt librosa
	@touch $@

predict: .venv/.installed
	@if [[ -n "$$GENREKIT_FILE" ]]; then \
		.venv/bin/genrekit predict -- "$$GENREKIT_FILE"; \
	else \
		.venv/bin/genrekit demo && .venv/bin/genrekit predict demo; \
	fi

test: .venv-dev/.installed
	GENREKIT_SLOW=$(or $(SLOW),$(GENREKIT_SLOW)) PYTHON=.venv-dev/bin/python scripts/check

system:
	@PYTHON="$(PYTHON)" scripts/system

docs: .venv-dev/.installed
	.venv-dev/bin/python -m sphinx --fail-on-warning --fresh-env --quiet docs build/docs

notebooks: .venv-dev/.installed
	.venv-dev/bin/python scripts/run_notebooks.py

full: .venv-dev/.installed
	GENREKIT_FULL=1 .venv-dev/bin/python -m pytest -m full

fuzz: .venv-dev/.installed
	.venv-dev/bin/python scripts/fuzz.py --cases $(or $(CASES),2000)

release: .venv-dev/.installed
	.venv-dev/bin/python scripts/release.py

image: .venv-dev/.installed
	.venv-dev/bin/python scripts/container_steps.py

bench: .venv-dev/.bench-installed
	.venv-dev/bin/python benchmarks/predict.py

mutations: .venv-dev/.installed
	.venv-dev/bin/python scripts/mutations.py

clean:
	rm -rf .venv .venv-dev .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage .coverage.* htmlcov \
		build dist demo docs/generated
