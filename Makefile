# One command for each task of a contributor; `make` lists them.
.DEFAULT_GOAL := help
.PHONY: help install test lint format layers types spelling docs site check benchmarks ci

help:  ## list the commands
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

install:  ## install kstyle from the checkout with all tools, and the commit hooks
	python -m pip install -e ".[dev]"
	pre-commit install

test:  ## all tests
	pytest

lint:  ## style of the code
	ruff check .
	ruff format --check .

format:  ## format the code and fix what ruff can fix
	ruff check --fix .
	ruff format .

layers:  ## directions of imports, see docs/architecture.md
	PYTHONPATH=. lint-imports

types:  ## type hints
	mypy

spelling:  ## spelling of code and documents
	codespell

docs:  ## files and options that the documents name, the README's Python example
	pytest -n 0 tests/test_docs.py tests/test_readme.py tests/test_site.py

site:  ## the documentation site, its examples, notebooks, benchmarks; needs .[docs]
	pytest -n 0 -m site tests/test_site.py tests/test_documented_commands.py \
	    tests/test_benchmarks.py

check: lint layers types spelling docs  ## everything but the tests

benchmarks:  ## a step, start-up, memory, a batch and large pictures, small; about 10 minutes
	python benchmarks/step.py --size 256 --steps 10
	python benchmarks/overhead.py --size 256
	python benchmarks/memory.py --rows "--size 256" "--size 512 --tile 256"
	python benchmarks/batch.py --pictures 4 --scales 1
	python benchmarks/scale.py --sizes 256 512 --tile 256 --steps 2

ci:  ## what continuous integration runs
	.ci/run
