# Martlet's front door. `make` alone lists what there is; .ci/run calls only these targets.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

SWIFT ?= swift
KINDS = rekey hybrid extended redirect handover roaming
SEEDS ?= 10000
SECONDS ?= 60
DEPTH ?= 6
BUILDER ?= podman build
RELEASE := .build/release
# Apart: other flags would make either of them new each time.
PACKAGED := .build/packaged

.PHONY: help setup deps build deb container demo test interop interop-pq scenarios guest scapy bare sim explore mutants fuzz lean bench bench-plane bench-ike check fmt docs clean

help: ## Lists the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: ## Installs what building, testing and the interop lab need, from apt; says what; replaces nothing.
	@Scripts/setup lab

deps:
	@Scripts/setup build

build: deps ## Builds the release executables: martlet, martlet-simulate, martlet-bench.
	$(SWIFT) build -c release

deb: deps ## Builds a Debian package in .build/deb, with Swift's libraries in the program, which Debian does not have.
	$(SWIFT) build -c release --product martlet --static-swift-stdlib --scratch-path $(PACKAGED)
	Packaging/deb $(PACKAGED)/release/martlet .build/deb

container: deb ## Builds a container image of the package, by podman (or BUILDER="docker build").
	Packaging/container $(PACKAGED)/release/martlet martlet $(BUILDER)

demo: deps ## Builds the gateway, then brings up a tunnel between two of them in one process.
	$(SWIFT) build -c release --product martlet
	$(RELEASE)/martlet demo

test: ## Runs all unit tests and test vectors.
	@Scripts/setup test
	$(SWIFT) test

interop: build ## Runs Martlet against strongSwan in network namespaces (root; CASES='--only NAME' or --ci).
	Interop/selftest
	Interop/run $(CASES)

interop-pq: build ## Runs the cases with the newest strongSwan, ML-KEM above all; unpacks it below .build (root).
	Interop/run --only pq- --only ss6

scenarios: build ## Plays scenario directories with Martlet in either place (root; SCENARIOS='DIR --only NAME').
	Interop/play $(SCENARIOS)

guest: build ## Runs Martlet against a real kernel's ESP and AH, in User-Mode Linux (GUEST='--smoke' or '--only NAME').
	Interop/guest $(GUEST)

scapy: build ## Lets Scapy and tshark read and write the plane's ESP and AH (root; SCAPY='--smoke' or '--only NAME').
	Interop/scapy $(SCAPY)

bare: ## Plays README on a bare Debian: from a clone to a tunnel that carries pings (root; BARE='--cache DIR').
	Interop/bare $(BARE)

sim: build ## Runs SEEDS=10000 simulated networks: loss, delay, reordering, duplication; a tenth more of each special kind.
	$(RELEASE)/martlet-simulate --seeds $(SEEDS)
	set -e; for kind in $(KINDS); do $(RELEASE)/martlet-simulate --seeds $$(($(SEEDS) / 10)) --profile $$kind; done

explore: build ## Tries every order in which two operations on a tunnel and their messages can meet, to DEPTH=6.
	$(RELEASE)/martlet-simulate explore --depth $(DEPTH)

mutants: deps ## Breaks the IKEv2 engine by hand in many ways; the tests must notice each (half an hour).
	Scripts/mutants

fuzz: deps ## Fuzzes every target for SECONDS=60 each.
	Fuzz/run $(SECONDS)

lean: build ## Counts allocations and reference counts over millions of packets: none for a packet.
	$(RELEASE)/martlet-bench lean

bench: build ## Measures the engines, then gateways side by side with strongSwan (root; BENCH='--seconds 3 --rounds 1').
	$(RELEASE)/martlet-bench engine
	Interop/bench $(BENCH)

bench-plane: ## Installs the peers and measures the data plane against its targets (root; BENCH='--seconds 3 --rounds 1').
	@Scripts/setup bench
	$(SWIFT) build -c release
	Interop/plane $(BENCH)

bench-ike: ## Installs strongSwan and measures handshakes and tunnels against their targets (root; BENCH=...).
	@Scripts/setup lab
	$(SWIFT) build -c release
	Interop/ike $(BENCH)

check: deps ## Format, architecture, file lengths, debts and machine paths.
	$(SWIFT) format lint --strict --parallel --recursive Sources Tests
	Scripts/check
	$(SWIFT) test --filter ArchitectureTests

fmt: ## Formats Sources and Tests in place.
	$(SWIFT) format format --in-place --parallel --recursive Sources Tests

docs: deps ## Builds the symbol graphs; fails when a public declaration of a library has no documentation.
	Scripts/docs

clean: ## Removes everything that was built.
	rm -rf .build Fuzz/.build
