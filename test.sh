#!/usr/bin/env bash
# Run all tests: ./test.sh [pytest arguments]. On a fresh machine it first installs what they need:
# requirements-dev.lock into .venv-test, and OpenCode from npm into .cache/opencode.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")"
. deploy/venv.sh

opencode_version=1.18.33

# The platform package (opencode-linux-x64, opencode-darwin-arm64 ...) carries the binary; no install script is run.
install_opencode() {
    local folder=.cache/opencode stamp=.cache/opencode/installed-version
    [ "$(cat "$stamp" 2>/dev/null || true)" = "$opencode_version" ] && return 0
    say "Installing OpenCode $opencode_version from npm into $folder (once) ..."
    rm -rf "$folder" && mkdir -p "$folder"
    npm install --prefix "$folder" --cache .cache/npm --no-audit --no-fund --ignore-scripts --no-save \
        --loglevel=error "opencode-ai@$opencode_version" >&2 || return 1
    rm -rf .cache/npm
    printf '%s\n' "$opencode_version" >"$stamp"
}

make_venv .venv-test requirements-dev.lock
if ! command -v npm >/dev/null 2>&1; then
    say "************************************************************************"
    say "* npm is missing, so OpenCode cannot be installed: the tests that      *"
    say "* drive the real OpenCode binary WILL BE SKIPPED.                      *"
    say "************************************************************************"
elif ! install_opencode; then
    say "npm could not install OpenCode; what went wrong stands above. Without the tests that need it:"
    say "    .venv-test/bin/python -m pytest -m 'not opencode'"
    exit 1
fi

if ! command -v chromium chromium-browser google-chrome-stable google-chrome >/dev/null 2>&1; then
    say "************************************************************************"
    say "* Chromium is missing: the tests of the inspector page                 *"
    say "* WILL BE SKIPPED. On Debian: apt-get install chromium                 *"
    say "************************************************************************"
fi

# One process for each core, and one more, as tests wait now and then; the tests of one file stay together, and the slow ones
# of real clients come early. `-n 0` runs all in one process, for a debugger.
# All processes must list the same tests in the same order, those made from sets too.
export PYTHONHASHSEED="${PYTHONHASHSEED:-0}"
workers=$(($(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1) + 1))
exec .venv-test/bin/python -m pytest -n "$workers" --dist loadfile --no-loadscope-reorder "$@"
