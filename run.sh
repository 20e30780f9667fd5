#!/usr/bin/env bash
# Start OpenCode Gateway: ./run.sh [PORT] [options]. `./run.sh --help` lists the options.
# The first start makes .venv and installs requirements.lock into it; later starts only start. `./run.sh --local` installs
# requirements-local.lock besides, once: what models on this machine need. So do --otel, --postgres and --gevent.
set -euo pipefail

started_in="$PWD"
cd "$(dirname "${BASH_SOURCE[0]}")"
. deploy/venv.sh

# Paths that a person gives are relative to where that person stands.
absolute() { case "$1" in /* | -) printf '%s' "$1" ;; *) printf '%s/%s' "$started_in" "$1" ;; esac; }

# A list of folders is separated by `;`, or by `:` where no folder is called so.
absolute_all() {
    local part piece list="" IFS
    set -f
    IFS=';'
    for part in $1; do
        IFS=':'
        if [ -e "$(absolute "$part")" ]; then IFS=''; fi
        for piece in $part; do
            case "$piece" in "~" | "~/"*) ;; *) piece="$(absolute "$piece")" ;; esac
            list="$list${list:+;}$piece"
        done
    done
    set +f
    printf '%s' "$list"
}

wanted="" # extras
arguments=()
while [ $# -gt 0 ]; do
    case "$1" in
        --log-file) arguments+=("$1" "$(absolute "${2:?--log-file needs a file name}")"); shift ;;
        --log-file=*) arguments+=("--log-file=$(absolute "${1#*=}")") ;;
        --model-path | --model-dirs) arguments+=("$1" "$(absolute_all "${2:?$1 needs a folder}")"); shift ;;
        --model-path=* | --model-dirs=*) arguments+=("${1%%=*}=$(absolute_all "${1#*=}")") ;;
        --local | --otel | --postgres | --gevent) wanted="$wanted ${1#--}"; arguments+=("$1") ;;
        *) arguments+=("$1") ;;
    esac
    shift
done
if [ -n "${OPENCODE_CONFIG:-}" ]; then
    OPENCODE_CONFIG="$(absolute "$OPENCODE_CONFIG")"
    export OPENCODE_CONFIG
fi
if [ -n "${GATEWAY_ENV_FILE:-}" ]; then
    GATEWAY_ENV_FILE="$(absolute "$GATEWAY_ENV_FILE")"
    export GATEWAY_ENV_FILE
fi

make_venv .venv requirements.lock
for extra in "${extras[@]}"; do
    lock="requirements-$extra.lock"
    case " $wanted " in *" $extra "*) asked=1 ;; *) asked="" ;; esac
    if [ -z "$asked" ] && ! has_extra .venv "$lock"; then continue; fi
    if add_to_venv .venv "$lock"; then continue; fi
    if [ -n "$asked" ]; then
        say "What --$extra needs could not be installed; why stands above. ./run.sh starts without it."
        exit 1
    fi
    say "What --$extra needs could not be brought up to date: it may not work now. Everything else does."
done
exec .venv/bin/python -m app serve ${arguments[@]+"${arguments[@]}"}
