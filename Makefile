# `make run` and `make test` do all the set-up they need, on a fresh Debian machine with Rust and Node.
SHELL := /bin/bash
.DEFAULT_GOAL := help
NEXTEST := $(shell cargo nextest --version >/dev/null 2>&1 && echo yes)

.PHONY: help run test lint web clients client-library chromium promtool network postgres bench bench-curves bench-artillery bench-pieces bench-peers redis schema screenshot fuzz

help: ## What can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 18

run: web ## The demo restaurant, on the embedded database
	cargo run --release -- serve --demo

test: web clients client-library chromium promtool network postgres ## Every test
	cd web && npm run --silent check && npm test --silent
	cd clients && npm run --silent check && npm test --silent
ifeq ($(NEXTEST),yes)
	cargo nextest run
else
	cargo test
endif

lint: web ## Formatting, clippy and documentation, warnings forbidden
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items --quiet
	cd bench && cargo fmt --check && cargo clippy --all-targets -- -D warnings

web: web/dist/kitchen.html ## The pages

WEB_SOURCES := $(shell find web/src -type f) clients/src/lib/realtime/events.ts web/build.mjs web/tsconfig.json

web/node_modules/.stamp: web/package-lock.json
	cd web && npm ci --no-audit --no-fund --loglevel=error
	touch $@

web/dist/kitchen.html: web/node_modules/.stamp $(WEB_SOURCES)
	cd web && npm run --silent build

clients: ## The clients that the tests use
	tests/clients/setup.sh

client-library: clients/dist-harness/page.js ## What the tests of clients/ need

CLIENT_SOURCES := $(shell find clients/src clients/harness clients/test/fakes -type f) clients/build.mjs tests/clients/jsonlines.mjs

clients/dist-harness/page.js: clients/node_modules/.stamp $(CLIENT_SOURCES)
	cd clients && node build.mjs --harness

clients/node_modules/.stamp: clients/package-lock.json
	cd clients && npm ci --no-audit --no-fund --loglevel=error
	touch $@

chromium:
	@command -v chromium >/dev/null || { echo "installing Chromium"; $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq chromium; }

promtool:
	@command -v promtool >/dev/null || { echo "installing promtool"; $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq --no-install-recommends prometheus; }

network: # For the tests that cut a network; without root they use a proxy
	@command -v ip >/dev/null || { echo "installing iproute2"; $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq iproute2; }

postgres: # A server that the tests start themselves, and a pooler; neither has to run as a service
	@ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 && command -v psql >/dev/null && command -v pgbouncer >/dev/null || { echo "installing PostgreSQL and PgBouncer"; $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq postgresql pgbouncer; }

SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

# All of them by default: make bench SHAPES=A,B ROUNDS=1 SERVERS=expeditor,floor OUTPUT=trial.md
ROUNDS ?= 3
SHAPES ?= A,B,C,D,E,F,G,P,S,W,X
SERVERS ?= expeditor,expeditor-volatile,expeditor-postgresql,node,bun,bare,floor
OUTPUT ?= RESULTS.md
CURVES ?= latency,memory,growth
# Divides the phases of the specification's load test, 8 minutes in all.
SHORTER ?= 1
BENCH = cd bench && cargo run --release --quiet --

bench: bench-peers redis postgres ## Measures it beside its peers and writes bench/RESULTS.md; takes most of an hour
	$(BENCH) shapes --rounds $(ROUNDS) --shapes $(SHAPES) --servers $(SERVERS) --output $(OUTPUT)

bench-curves: bench-peers ## How latency, memory and cost grow: bench/plots/
	$(BENCH) curves --rounds $(ROUNDS) --curves $(CURVES) --servers expeditor,node,bun,bare,floor

bench-artillery: bench/artillery/node_modules/.stamp ## The specification's load test: bench/artillery/RESULTS.md
	cargo build --release
	$(BENCH) artillery --shorter $(SHORTER)

bench-pieces: ## Event parsing, policy, outbox, audit trail and fan-out, each alone
	cd bench && cargo bench

bench-peers: bench/peers/node_modules/.stamp
	cargo build --release

# Nothing is fetched or reported by what is installed here.
bench/artillery/node_modules/.stamp: export PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD = 1
bench/artillery/node_modules/.stamp: export PUPPETEER_SKIP_DOWNLOAD = 1
bench/artillery/node_modules/.stamp: export ARTILLERY_DISABLE_TELEMETRY = true
bench/%/node_modules/.stamp: bench/%/package-lock.json
	cd bench/$* && npm ci --no-audit --no-fund --loglevel=error
	touch $@

# One of the targets in fuzz/fuzz_targets. What it finds is kept in fuzz/artifacts, what it has learnt in fuzz/corpus.
TARGET ?= packet
SECONDS ?= 600

fuzz: ## Fuzzes a parser of outside input: make fuzz TARGET=packet SECONDS=600
	@cargo fuzz --version >/dev/null 2>&1 || cargo install --locked cargo-fuzz
	mkdir -p fuzz/corpus/$(TARGET)
	cd fuzz && cargo +nightly fuzz run $(TARGET) corpus/$(TARGET) seeds/$(TARGET) -- \
		-max_total_time=$(SECONDS) -max_len=4096 -timeout=5 -rss_limit_mb=1024 -print_final_stats=1

redis:
	@command -v redis-server >/dev/null || { echo "installing Redis"; $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq redis-server; }

screenshot: web clients chromium ## docs/admin.png: the operator's page with 2,000 sessions in 200 rooms
	SCREENSHOT=$(CURDIR)/docs/admin.png cargo test --test it two_thousand_sessions_in_two_hundred -- --ignored

schema: ## src/schema.rs from the migrations; needs diesel_cli with its sqlite feature
	rm -f target/schema.db
	DATABASE_URL=target/schema.db diesel migration run --migration-dir migrations/sqlite
	DATABASE_URL=target/schema.db diesel print-schema > src/schema.rs
