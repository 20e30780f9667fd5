#!/usr/bin/env bash
# Write requirements.lock, requirements-local.lock and requirements-dev.lock anew from their .txt files. Needs uv.
# Versions already locked stay unless they are told to move: deploy/lock.sh --upgrade-package flask
# Neither an index address nor a local path goes into a lock: a hash says what a file is, wherever it comes from.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

compile() {
    uv pip compile --quiet --universal --python-version 3.10 --generate-hashes \
        --no-emit-index-url --no-emit-find-links --custom-compile-command "deploy/lock.sh" "$@"
}

compile requirements.txt -o requirements.lock "$@"
compile requirements-local.txt -c requirements.lock -o requirements-local.lock "$@"
compile requirements-dev.txt -c requirements.lock -c requirements-local.lock -o requirements-dev.lock "$@"
