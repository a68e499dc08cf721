# The commands of README.md and CONTRIBUTING.md. Each sets the machine up first; see scripts/setup.

CARGO ?= cargo
BENCHES ?= answers transfer change start catalog ondemand failover attack filters
# The same with the kernel lane.
BENCHES_KERNEL ?= answers change
FUZZ_SECONDS ?= 60

.PHONY: demo test lint bench fuzz setup build-release

demo: build-release
	target/release/parapet-lab demo

# The binaries are built first: tests start them.
test: setup
	$(CARGO) build --workspace --bins
	$(CARGO) nextest run --workspace --no-fail-fast

lint: setup
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	@command -v cargo-deny >/dev/null || { echo "installing cargo-deny (some minutes)"; $(CARGO) install --quiet --locked cargo-deny; }
	$(CARGO) deny --log-level error check bans licenses sources

# Nothing else should run meanwhile. BENCHES="answers change" chooses.
bench: build-release
	@scripts/setup bench
	set -e; for bench in $(BENCHES); do target/release/parapet-lab bench $$bench; done
	set -e; for bench in $(BENCHES_KERNEL); do target/release/parapet-lab bench $$bench --lane kernel; done

fuzz: setup
	@command -v cargo-fuzz >/dev/null || { echo "installing cargo-fuzz (some minutes)"; $(CARGO) install --quiet --locked cargo-fuzz; }
	set -e; for target in $$($(CARGO) fuzz list); do \
		RUSTC_BOOTSTRAP=1 $(CARGO) fuzz run $$target -- -max_total_time=$(FUZZ_SECONDS); done

build-release: setup
	$(CARGO) build --release --bin parapet --bin parapet-lab

setup:
	@scripts/setup
