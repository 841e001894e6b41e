# `make` alone explains itself.
SHELL := /bin/bash
PYTHON ?= python3
OUT ?= demo
TESTS ?= test
WORKERS ?= -n $(shell expr $$(nproc) + 1) --dist loadfile --no-loadscope-reorder
SECONDS ?= 60
TARGETS ?= $(filter-out run test_fuzz,$(basename $(notdir $(wildcard test/fuzz/*.py))))
SANITIZED := -std=c++17 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined -Iinclude
ENVIRONMENT := $(PYTHON) tools/environment.py
# Nothing that runs here talks to, or hears, another machine's ROS.
export ROS_AUTOMATIC_DISCOVERY_RANGE ?= LOCALHOST

.DEFAULT_GOAL := help
.PHONY: help demo test test-jazzy test-gpu check fuzz format reference docs docs-version dist env train-env build clean

help: ## this text
	@echo "pcan_ros: multi-object tracking and segmentation for ROS 2"
	@echo
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20
	@echo
	@echo "  VIDEO=file|folder  what demo looks at: a video, or a folder of images"
	@echo "  BAG=folder         or a rosbag2 with an image topic (default: a street clip from PyPI)"
	@echo "  DATA=folder        where demo keeps what it downloads"
	@echo "  BACKEND=name       onnxruntime or openvino, what runs the network in demo (default: the best)"
	@echo "  OUT=folder         where demo writes (default: demo)"
	@echo "  TESTS='...'        what test runs (default: test), such as TESTS='test/test_build.py -k header'"
	@echo "  WORKERS=           test in one process (default: one more than cores: node tests mostly wait)"
	@echo "  PYTHON=python3.12  the Python that makes .venv (3.10 to 3.13)"
	@echo
	@echo "Everything is installed into .venv, once. Where a ROS 2 distribution is sourced it is used; elsewhere"
	@echo "ROS 2 Kilted comes as wheels. demo takes about 0.7 GB. test, check and train-env take 6 GB more: PyTorch"
	@echo "for x86-64 exists with its CUDA libraries only; what runs on the robot never needs it."

demo: ## see cars and people tracked in a street video, through a real node: video, contact sheet, report
	@$(ENVIRONMENT) runtime ros $(filter openvino,$(BACKEND))
	@$(MAKE) --no-print-directory build
	@source tools/env.sh && python -m pcan_ros.demo --birds-eye --out "$(OUT)" $(if $(VIDEO),--video "$(VIDEO)") \
	  $(if $(BAG),--bag "$(BAG)") $(if $(DATA),--data "$(DATA)") $(if $(BACKEND),--backend "$(BACKEND)")

test: env ## the whole test suite, with real nodes over real DDS
	@$(MAKE) --no-print-directory build
	@source tools/env.sh && python -m pytest $(WORKERS) $(TESTS)

test-jazzy: ## messages and node with ROS 2 Jazzy, in .venv-jazzy (JAZZY_PYTHON=python3.12)
	@JAZZY_PYTHON="$(JAZZY_PYTHON)" tools/test_jazzy.sh

test-gpu: ## on a machine with an NVIDIA GPU: engines, agreement, memory, latency (MODEL=folder)
	@source tools/env.sh && PCAN_GPU_MODEL="$(MODEL)" python -m pytest -rs -s test/gpu

check: env ## style, types, format, what the documents name, secrets, known vulnerabilities
	@source tools/env.sh && python -m ruff check && python -m ruff format --check && python -m mypy
	@source tools/env.sh && python tools/check_documents.py && python tools/command_reference.py --check
	@source tools/env.sh && python tools/check_secrets.py && python tools/audit.py

fuzz: ## search for inputs that break a reader: TARGETS='bags masks', SECONDS= for each (default: all, 60)
	@$(ENVIRONMENT) runtime ros train check fuzz
	@$(MAKE) --no-print-directory build
	@source tools/env.sh && for target in $(TARGETS); do \
	  python test/fuzz/run.py $$target --seconds $(SECONDS) || exit 1; done
	@mkdir -p log/fuzz/masks_cpp && if command -v clang++ > /dev/null; then \
	  clang++ $(SANITIZED) test/fuzz/instance_mask.cpp -o log/fuzz/instance_mask && \
	  log/fuzz/instance_mask -max_total_time=$(SECONDS) -artifact_prefix=log/fuzz/ log/fuzz/masks_cpp; \
	  else echo "the C++ decoder was not fuzzed: sudo apt-get install clang libclang-rt-14-dev"; fi

format: env ## write the files as check wants them
	@source tools/env.sh && python -m ruff check --fix && python -m ruff format

reference: env ## docs/reference/commands.md anew, after an option changed
	@source tools/env.sh && python tools/command_reference.py

docs: ## the documents as a site, into site/index.html (Python 3.11 or newer)
	@$(ENVIRONMENT) docs
	@source tools/env.sh && NO_MKDOCS_2_WARNING=1 python -m mkdocs build --strict --quiet && echo "written: site/index.html"

docs-version: ## the documents as one of several versions, on the local branch gh-pages (VERSION=0.1)
	@[ -n "$(VERSION)" ] || { echo "expected VERSION=, such as make docs-version VERSION=0.1"; exit 2; }
	@$(ENVIRONMENT) docs
	@source tools/env.sh && NO_MKDOCS_2_WARNING=1 mike -q deploy --update-aliases --alias-type=copy "$(VERSION)" latest \
	  && mike -q set-default latest && mike list

dist: ## the wheel and the source archive, checked, into dist/
	@$(ENVIRONMENT) publish
	@source tools/env.sh && rm -rf dist && python -m build --outdir dist . && python -m twine check --strict dist/*

env: ## the whole environment: runtime, ROS 2, PyTorch, ModelOpt, OpenVINO, TensorRT-RTX, checkers
	@$(ENVIRONMENT) runtime ros train quantize openvino tensorrt check

train-env: ## what pcan-train needs, without ROS
	@$(ENVIRONMENT) runtime train

build: ## the ROS 2 package, by colcon, into install/
	@# A copied install cannot become a linked one.
	@[ -z "$$(find install -path '*/pcan_ros/__init__.py' -type f 2>/dev/null)" ] || rm -rf build install
	@source tools/env.sh && colcon build --symlink-install

clean: ## remove what was built, but not .venv
	rm -rf .venv-jazzy/build .venv-jazzy/install build install log demo site dist .mypy_cache .ruff_cache .pytest_cache
