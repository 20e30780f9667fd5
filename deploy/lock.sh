#!/usr/bin/env bash
# Write requirements.lock, the lock of each extra and requirements-dev.lock anew from their .txt files. Needs uv.
# Versions already locked stay unless they are told to move: deploy/lock.sh --upgrade-package flask
# Neither an index address nor a local path goes into a lock: a hash says what a file is, wherever it comes from.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. deploy/venv.sh

compile() {
    uv pip compile --quiet --universal --python-version 3.10 --generate-hashes \
        --no-emit-index-url --no-emit-find-links --custom-compile-command "deploy/lock.sh" "$@"
}

compile requirements.txt -o requirements.lock "$@"
# All may be installed into one environment: each keeps the versions of those before it.
constraints=(-c requirements.lock)
for extra in "${extras[@]}"; do
    compile "requirements-$extra.txt" "${constraints[@]}" -o "requirements-$extra.lock" "$@"
    constraints+=(-c "requirements-$extra.lock")
done
compile requirements-dev.txt "${constraints[@]}" -o requirements-dev.lock "$@"
