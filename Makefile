# Everything runs in the release profile: dependencies are compiled once.

VECTORS ?= official-vectors

.PHONY: devnet scenarios test lint bench official-vectors build-tools

# A network of nodes on this machine, with groups, until Ctrl-C. Flags: make devnet ARGS="--epochs 8 --report r.json"
devnet: build-tools
	cargo build --release -p fresnel
	./target/release/fresnel devnet $(ARGS)

# What groups have to survive, each with its expected outcome: about five minutes per file.
SCENARIOS ?= $(sort $(wildcard testing/devnet/scenarios/*.yaml))
scenarios: build-tools
	cargo build --release -p fresnel
	@set -e; for file in $(SCENARIOS); do \
		echo "== $$file"; \
		./target/release/fresnel devnet --scenario "$$file" $(ARGS); \
	done

# All tests, and the official vectors if they are found.
test: build-tools
	cargo test --release --workspace

# Formatting and lints; warnings are errors.
lint: build-tools
	cargo fmt --all --check
	cargo clippy --release --workspace --all-targets -- -D warnings

# Ratios, each measured in one run.
bench: build-tools
	cargo bench -p chain_harness --bench transition

# Downloads the official test vectors into $(VECTORS).
official-vectors:
	scripts/fetch-official-vectors $(VECTORS)

build-tools:
	@scripts/install-build-tools
