# Everything runs in the release profile: dependencies are compiled once.

VECTORS ?= official-vectors

.PHONY: test lint bench official-vectors build-tools

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
