#!/usr/bin/env bash
# Installs the clients that the tests use; quick when there is nothing to do.
set -euo pipefail
cd "$(dirname "$0")"

if [ ! -e node_modules/.stamp ] || [ package-lock.json -nt node_modules/.stamp ]; then
  npm ci --no-audit --no-fund --loglevel=error
  touch node_modules/.stamp
fi

if [ ! -e .venv/.stamp ] || [ requirements.txt -nt .venv/.stamp ]; then
  python3 -m venv .venv || { apt-get update && apt-get install -y python3-venv && python3 -m venv .venv; }
  .venv/bin/pip install --quiet --disable-pip-version-check -r requirements.txt
  touch .venv/.stamp
fi
