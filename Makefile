# What a newcomer types: `make demo` and `make test`. Both do everything that they need, and say which
# Debian packages they install before they do. `SETUP=no` leaves the machine alone.

SETUP ?= yes
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python

# What a test machine is made of, and what plays in it.
DEBIAN_PACKAGES := iproute2 ipvsadm nginx-light procps python3 python3-venv systemd \
	user-mode-linux util-linux

.PHONY: demo test lint test-all bench clean

demo: $(VENV)/ready
	$(RUN) -m director drill run

test: $(VENV)/ready lint
	$(RUN) -m pytest -m "not full"

test-all: $(VENV)/ready lint
	$(RUN) -m pytest

lint: $(VENV)/ready
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

$(VENV)/ready: pyproject.toml Makefile
	@SETUP=$(SETUP) PYTHON=$(PYTHON) VENV=$(VENV) sh tests/set-up $(DEBIAN_PACKAGES)
	@touch $@

clean:
	rm -rf $(VENV) .build
