# `make run` and `make test` do all the set-up they need, on a fresh Debian machine with Rust and Node.
SHELL := /bin/bash
.DEFAULT_GOAL := help
NEXTEST := $(shell cargo nextest --version >/dev/null 2>&1 && echo yes)

.PHONY: help run test lint web clients chromium network bench schema

help: ## What can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 10

run: web ## The demo restaurant, on the embedded database
	cargo run --release -- serve --demo

test: web clients chromium network ## Every test
	cd web && npm run --silent check && npm test --silent
ifeq ($(NEXTEST),yes)
	cargo nextest run
else
	cargo test
endif

lint: web ## Formatting, clippy and documentation, warnings forbidden
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items --quiet

web: web/dist/kitchen.html ## The pages

WEB_SOURCES := $(shell find web/src -type f) web/build.mjs web/tsconfig.json

web/node_modules/.stamp: web/package-lock.json
	cd web && npm ci --no-audit --no-fund --loglevel=error
	touch $@

web/dist/kitchen.html: web/node_modules/.stamp $(WEB_SOURCES)
	cd web && npm run --silent build

clients: ## The clients that the tests use
	tests/clients/setup.sh

chromium:
	@command -v chromium >/dev/null || { echo "installing Chromium"; $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq chromium; }

network: # For the tests that cut a network; without root they use a proxy
	@command -v ip >/dev/null || { echo "installing iproute2"; $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq iproute2; }

SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

bench: ## Measures it beside its peers and writes bench/RESULTS.md; takes some minutes
	cargo build --release
	cd bench/peers && npm ci --no-audit --no-fund --loglevel=error
	cd bench && cargo run --release

schema: ## src/schema.rs from the migrations; needs diesel_cli with its sqlite feature
	rm -f target/schema.db
	DATABASE_URL=target/schema.db diesel migration run --migration-dir migrations/sqlite
	DATABASE_URL=target/schema.db diesel print-schema > src/schema.rs
