# What a newcomer types: `make demo` and `make test`. Both do everything that they need, and say which
# Debian packages they install before they do. `SETUP=no` leaves the machine alone.

SETUP ?= yes
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python

# What a test machine is made of, and what plays in it.
DEBIAN_PACKAGES := iproute2 iputils-ping ipvsadm kmod nftables nginx-light procps python3 \
	python3-venv systemd user-mode-linux util-linux

# `make test-all` boots a distribution's kernel, too, which it unpacks below .build.
FULL_PACKAGES := qemu-system-x86

# What is measured beside us. `make test-all` wants it too: pairs of which one node is keepalived.
BENCH_PACKAGES := keepalived
REPEATS ?= 10
INTERVALS ?= 1,0.1,0.02
PEERS ?= director,keepalived
EVENTS ?=
SERVICES ?= 20000,5000

# Simulated lives of directors: a million of them take about an hour and a half on two cores.
# One again, line by line: .venv/bin/python -m tests.sim.soak --show SEED
SEEDS ?= 1000000
FROM ?= 0

.PHONY: demo test lint test-all soak bench bench-failover bench-table bench-ready clean

demo: $(VENV)/ready
	$(RUN) -m director drill run

test: $(VENV)/ready lint
	$(RUN) -m pytest -m "not full"

test-all: $(VENV)/ready bench-ready lint
	@SETUP=$(SETUP) PYTHON=$(PYTHON) VENV=$(VENV) sh tests/set-up $(FULL_PACKAGES)
	$(RUN) -m pytest

soak: $(VENV)/ready
	$(RUN) -m tests.sim.soak --from $(FROM) --seeds $(SEEDS)

# Everything that is measured; the status says whether a *must* was missed.
bench: bench-failover bench-table

# Two hours. Quick (6 minutes): make bench-failover REPEATS=2 INTERVALS=0.1
# Ours alone, adverts every 10 ms: make bench-failover INTERVALS=0.01 PEERS=director
bench-failover: bench-ready
	$(RUN) -m bench.failover --repeats $(REPEATS) --intervals $(INTERVALS) --peers $(PEERS) \
		$(if $(EVENTS),--events $(EVENTS))

# Six minutes. Quick: make bench-table SERVICES=1000
bench-table: bench-ready
	$(RUN) -m bench.table --services $(SERVICES)

bench-ready: $(VENV)/ready
	@SETUP=$(SETUP) PYTHON=$(PYTHON) VENV=$(VENV) sh tests/set-up $(DEBIAN_PACKAGES) $(BENCH_PACKAGES)

lint: $(VENV)/ready
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

$(VENV)/ready: pyproject.toml Makefile
	@SETUP=$(SETUP) PYTHON=$(PYTHON) VENV=$(VENV) sh tests/set-up $(DEBIAN_PACKAGES)
	@touch $@

clean:
	rm -rf $(VENV) .build
