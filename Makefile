# Everything runs in the release profile: dependencies are compiled once.

VECTORS ?= official-vectors

.PHONY: devnet scenarios interop blobs ethereumjs test crash-test engine-faults checkpoint-sync xmss-lifetime-test lint bench official-vectors spec-test spec-mutants vectors eip-figures diff-test kurtosis-test kurtosis-mutants beacon-api-description api-contract foreign-clients build-tools

# A network of nodes on this machine, with groups, until Ctrl-C. Flags: make devnet ARGS="--epochs 8 --report r.json"
devnet: build-tools
	cargo build --release -p fresnel
	./target/release/fresnel devnet $(ARGS)

# What groups have to survive, each with its expected outcome: about five minutes per file.
SCENARIOS ?= $(filter-out testing/devnet/scenarios/interop% testing/devnet/scenarios/blobs%,$(sort $(wildcard testing/devnet/scenarios/*.yaml)))
scenarios: build-tools
	cargo build --release -p fresnel
	@set -e; for file in $(SCENARIOS); do \
		echo "== $$file"; \
		./target/release/fresnel devnet --scenario "$$file" $(ARGS); \
	done

# Nodes on a real execution client, EthereumJS: transactions, deposits, requests of the execution layer, and where every
# balance of both layers comes from. About three and a half minutes.
INTEROP := testing/devnet/scenarios/interop.yaml
interop: build-tools ethereumjs
	cargo build --release -p fresnel
	./target/release/fresnel devnet --scenario $(INTEROP) --el ethereumjs $(ARGS)

# Blocks with blobs: on EthereumJS, and on the mock with columns that are cut off, lost or withheld. Nine processes of EthereumJS
# verify each blob in JavaScript, hence the slots of eighteen seconds. About 26 minutes.
BLOBS := testing/devnet/scenarios/blobs
blobs: build-tools ethereumjs
	cargo build --release -p fresnel
	./target/release/fresnel devnet --scenario $(BLOBS).yaml --el ethereumjs --slot-ms 18000 $(ARGS)
	./target/release/fresnel devnet --scenario $(BLOBS)-cut-off.yaml --slot-ms 6000 $(ARGS)
	./target/release/fresnel devnet --scenario $(BLOBS)-withheld.yaml --slot-ms 6000 $(ARGS)

# EthereumJS by npm, in the versions of its lock file. Nothing that comes with it is run to install it.
ETHEREUMJS := target/ethereumjs
ethereumjs: $(ETHEREUMJS)/installed
$(ETHEREUMJS)/installed: testing/devnet/ethereumjs/package.json testing/devnet/ethereumjs/package-lock.json
	scripts/install-ethereumjs $(ETHEREUMJS)
	touch $@

# All tests, and the official vectors if they are found. With Node.js, EthereumJS is installed for the test that needs it.
test: build-tools
	@if command -v node >/dev/null && command -v npm >/dev/null; then \
		$(MAKE) ethereumjs || echo "EthereumJS could not be installed: its test is left out"; \
	else \
		echo "There is no Node.js with npm: the test with EthereumJS is left out"; \
	fi
	cargo test --release --workspace

# Kills a signer of XMSS keys at every step of a signature; `make test` does it 20 times.
CRASHES ?= 200
crash-test: build-tools
	XMSS_CRASHES=$(CRASHES) cargo test --release -p signing --test crash_points -- --nocapture

# Makes a key with 2^32 leaves by the command, signs with it, moves its window, restarts: some minutes. `make test` does the
# same with a short-lived one.
xmss-lifetime-test: build-tools
	cargo test --release -p fresnel --test xmss_key -- --ignored --nocapture

# Breaks answers of execution clients in a network of four nodes: about half a minute for each 30. `make test` does 60.
FAULTS ?= 1000
engine-faults: build-tools
	ENGINE_FAULTS=$(FAULTS) cargo test --release -p fresnel --test processes -- --nocapture answers_of_execution_clients

# A fresh node begins with the finalised state of a devnet with groups: seconds and memory. `make test` does it in a smaller one.
CHECKPOINT_EPOCHS ?= 6
checkpoint-sync: build-tools
	CHECKPOINT_SYNC_EPOCHS=$(CHECKPOINT_EPOCHS) cargo test --release -p fresnel --test processes -- --ignored --nocapture \
		a_fresh_node_has_the_head

# Formatting and lints; warnings are errors.
lint: build-tools
	cargo fmt --all --check
	cargo clippy --release --workspace --all-targets -- -D warnings

# Ratios, each measured in one run.
bench: build-tools
	cargo bench -p chain_harness --bench transition
	cargo bench -p intake --bench columns

# Downloads the official test vectors into $(VECTORS).
official-vectors:
	scripts/fetch-official-vectors $(VECTORS)

# The specification in specs/native-dvt, executed: types, format, tests, and which of its lines they ran. Four minutes on two
# cores.
PYTHON ?= python3
VENV := target/pyspec-venv
SPEC_PYTHON := ../../$(VENV)/bin/python -W ignore::DeprecationWarning
$(VENV)/installed: specs/pyspec/pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --editable 'specs/pyspec[test]'
	touch $@

spec-test: $(VENV)/installed
	cd specs/pyspec && $(SPEC_PYTHON) -m ruff check . && $(SPEC_PYTHON) -m ruff format --check .
	cd specs/pyspec && $(SPEC_PYTHON) -m coverage erase
	cd specs/pyspec && $(SPEC_PYTHON) -m coverage run -m pytest -q --numprocesses auto --dist worksteal
	cd specs/pyspec && $(SPEC_PYTHON) -m coverage combine -q
	cd specs/pyspec && $(SPEC_PYTHON) -m mypy native_dvt build/dvt_minimal.py build/fulu_minimal.py
	cd specs/pyspec && $(SPEC_PYTHON) -m coverage json -q -o build/coverage.json
	cd specs/pyspec && $(SPEC_PYTHON) -m native_dvt.covered build/coverage.json

# Official-format cases out of the specification, packed. The same specification gives the same bytes. Two and a half
# minutes on two cores.
vectors: $(VENV)/installed
	cd specs/pyspec && $(SPEC_PYTHON) -m native_dvt.vectors ../../target/native-dvt-vectors --pack ../vectors/native-dvt.tar.gz
	cp target/native-dvt-vectors/manifest.sha256 specs/vectors/manifest.sha256

# Changes one place of the text at a time: the vectors that it gives then have to fail here. About twenty minutes; a run
# that was stopped goes on where it was. ARGS="--function process_attestation" tries only some, ARGS="--part 1/2" every other
# one: parts may run beside each other, with files of their own (--directory, --results).
spec-mutants: $(VENV)/installed build-tools
	cargo build --release -p spec_vectors
	cd specs/pyspec && $(SPEC_PYTHON) -m native_dvt.mutants --runner ../../target/release/spec_vectors \
		--directory ../../target/mutants --results ../../target/mutants.jsonl $(ARGS)

# The numbers of eip-draft.md.
eip-figures: $(VENV)/installed
	cd specs/pyspec && $(SPEC_PYTHON) -m native_dvt.figures

# Random chains with groups through Python and Rust. About a quarter of a second for each block. A run that was stopped
# goes on where it was, if neither the specification nor the program is another one.
BLOCKS ?= 400
SEED ?= 1000000
diff-test: $(VENV)/installed build-tools
	cargo build --release -p spec_vectors
	cd specs/pyspec && $(SPEC_PYTHON) -m native_dvt.difference ../../target/difference --runner ../../target/release/spec_vectors --blocks $(BLOCKS) \
		--seed $(SEED) --journal ../../target/difference.journal

# The Kurtosis package, interpreted: with what is recorded of ethereum-package, and with ethereum-package itself if
# ETHEREUM_PACKAGE names a checkout of it.
KURTOSIS_VENV := target/kurtosis-venv
KURTOSIS_PYTHON := $(KURTOSIS_VENV)/bin/python
$(KURTOSIS_VENV)/installed: kurtosis/tests/requirements.txt
	$(PYTHON) -m venv $(KURTOSIS_VENV)
	$(KURTOSIS_VENV)/bin/pip install --quiet --requirement kurtosis/tests/requirements.txt
	touch $@

kurtosis-test: $(KURTOSIS_VENV)/installed
	$(KURTOSIS_PYTHON) -m black --quiet --include '\.star?$$' --check kurtosis
	$(KURTOSIS_PYTHON) -m black --quiet --line-length 120 --check kurtosis/tests
	$(KURTOSIS_PYTHON) -m pytest -q -p no:cacheprovider kurtosis/tests

# Changes one thing at a time in the package, in the record and in ethereum-package: the tests have to fail.
kurtosis-mutants: $(KURTOSIS_VENV)/installed
	$(KURTOSIS_PYTHON) kurtosis/tests/mutants.py

# The OpenAPI description of the Beacon API, of the release that we serve.
BEACON_API_SPEC ?= target/beacon-api-description
beacon-api-description:
	scripts/fetch-beacon-api-description $(BEACON_API_SPEC)

# A node is asked everything that the description has, on a chain with and one without groups; then schemathesis asks what it
# makes up. BEACON_API_SPEC names another checkout or bundle of the description. Python 3.10 or newer.
CONTRACT := beacon_node/http_api/contract
CONTRACT_VENV := target/contract-venv
CONTRACT_PYTHON := $(CURDIR)/$(CONTRACT_VENV)/bin/python
$(CONTRACT_VENV)/installed: $(CONTRACT)/requirements.txt
	$(PYTHON) -m venv $(CONTRACT_VENV)
	$(CONTRACT_VENV)/bin/pip install --quiet --requirement $(CONTRACT)/requirements.txt
	touch $@

api-contract: $(CONTRACT_VENV)/installed build-tools
	@[ -e "$(BEACON_API_SPEC)" ] || $(MAKE) beacon-api-description
	$(CONTRACT_PYTHON) -m black --quiet --line-length 120 --check $(CONTRACT) beacon_node/http_api/foreign
	for program in contract.py fuzz.py; do \
		BEACON_API_SPEC=$(abspath $(BEACON_API_SPEC)) API_CONTRACT="$(CONTRACT_PYTHON) $(CURDIR)/$(CONTRACT)/$$program" \
			cargo test --release -p http_api --test reading contract:: -- --ignored --nocapture --test-threads 1 || exit 1; \
	done

# Software that nobody here wrote drives a node of a devnet, before the fork and after it: @lodestar/api from npm, and Vero, if
# VERO names a checkout of github.com/serenita-org/vero at v1.3.3. Python 3.12 or newer. About six minutes.
FOREIGN := beacon_node/http_api/foreign
FOREIGN_DIR := target/foreign-clients
$(FOREIGN_DIR)/installed: $(FOREIGN)/requirements.txt $(FOREIGN)/package.json
	mkdir -p $(FOREIGN_DIR)
	$(PYTHON) -m venv $(FOREIGN_DIR)/venv
	$(FOREIGN_DIR)/venv/bin/pip install --quiet --requirement $(FOREIGN)/requirements.txt
	cp $(FOREIGN)/package.json $(FOREIGN_DIR)
	npm install --prefix $(FOREIGN_DIR) --no-audit --no-fund --silent
	touch $@

foreign-clients: $(FOREIGN_DIR)/installed $(CONTRACT_VENV)/installed build-tools
	cargo build --release -p fresnel
	LODESTAR=$(abspath $(FOREIGN_DIR)) CONTRACT_PYTHON=$(CONTRACT_PYTHON) \
		BEACON_API_SPEC=$(if $(wildcard $(BEACON_API_SPEC)),$(abspath $(BEACON_API_SPEC))) \
		$(FOREIGN_DIR)/venv/bin/python $(FOREIGN)/run.py target/release/fresnel

build-tools:
	@scripts/install-build-tools
