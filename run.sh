#!/usr/bin/env bash
# Start OpenCode Gateway: ./run.sh [PORT] [options]. `./run.sh --help` lists the options.
# The first start makes .venv and installs requirements.lock into it; later starts only start.
set -euo pipefail

started_in="$PWD"
cd "$(dirname "${BASH_SOURCE[0]}")"
. deploy/venv.sh

# Paths that a person gives are relative to where that person stands.
absolute() { case "$1" in /* | -) printf '%s' "$1" ;; *) printf '%s/%s' "$started_in" "$1" ;; esac; }

arguments=()
while [ $# -gt 0 ]; do
    case "$1" in
        --log-file) arguments+=("$1" "$(absolute "${2:?--log-file needs a file name}")"); shift ;;
        --log-file=*) arguments+=("--log-file=$(absolute "${1#*=}")") ;;
        *) arguments+=("$1") ;;
    esac
    shift
done
if [ -n "${OPENCODE_CONFIG:-}" ]; then
    OPENCODE_CONFIG="$(absolute "$OPENCODE_CONFIG")"
    export OPENCODE_CONFIG
fi

make_venv .venv requirements.lock
exec .venv/bin/python -m app serve ${arguments[@]+"${arguments[@]}"}
