# Sourced by run.sh, test.sh and lock.sh: make a virtual environment that holds exactly what a lock file says.
# Bash 3.2 is enough (macOS). Nothing is looked up on the network when the environment is already right.

# ./run.sh --NAME installs requirements-NAME.lock besides requirements.lock.
extras=(local otel postgres gevent)

say() { printf '%s\n' "$*" >&2; }

# The first Python from 3.10 to 3.14 on this machine; PYTHON names one of your own.
find_python() {
    local candidate
    for candidate in ${PYTHON:+"$PYTHON"} python3 python3.13 python3.12 python3.14 python3.11 python3.10 python; do
        if "$candidate" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null; then
            printf '%s\n' "$candidate"
            return 0
        fi
    done
    return 1
}

have_uv() { [ -z "${GATEWAY_NO_UV:-}" ] && uv --version >/dev/null 2>&1; }

# uv refuses to work without a cache folder it can write; a read-only home has none.
give_uv_a_cache() {
    if [ -z "${UV_CACHE_DIR:-}" ] && ! mkdir -p "${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/uv" 2>/dev/null; then
        export UV_CACHE_DIR="$PWD/.cache/uv"
    fi
}

prepare_uv() {
    give_uv_a_cache
    # A company's own certificate authority stands in the system's store; UV_NATIVE_TLS is the older name.
    export UV_SYSTEM_CERTS="${UV_SYSTEM_CERTS:-1}" UV_NATIVE_TLS="${UV_NATIVE_TLS:-1}"
}

install_with_uv() {
    local folder="$1" lock="$2" python
    prepare_uv
    python="$(find_python)" || python='>=3.10,<3.15'
    if ! "$folder/bin/python" -c '' 2>/dev/null; then
        uv venv --quiet --clear --python "$python" "$folder" || return 1
    fi
    # UV_INDEX_URL and friends are honoured; a company's pip.conf is not read by uv, hence the way back to pip.
    uv pip sync --quiet --require-hashes --python "$folder/bin/python" "$lock"
}

install_with_pip() {
    local folder="$1" lock="$2" python
    if ! python="$(find_python)"; then
        say "No Python from 3.10 to 3.14 found (LiteLLM needs one). Install one, or name it: PYTHON=/path/to/python3 $0"
        return 1
    fi
    if ! "$folder/bin/python" -m pip --version >/dev/null 2>&1; then
        if ! "$python" -m venv --clear "$folder"; then
            say "$python cannot make a virtual environment. On Debian and Ubuntu: apt-get install python3-venv (or install uv)."
            return 1
        fi
    fi
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock"
}

# make_venv FOLDER LOCK: the copy of the lock inside the folder is the stamp. It is written last and removed first,
# so an install that was interrupted is done again.
make_venv() {
    local folder="$1" lock="$2"
    if cmp -s "$lock" "$folder/installed.lock" && "$folder/bin/python" -c '' 2>/dev/null; then
        return 0
    fi
    wait_for_other_install "$folder"
    if cmp -s "$lock" "$folder/installed.lock" && "$folder/bin/python" -c '' 2>/dev/null; then
        release_install "$folder"
        return 0
    fi
    rm -f "$folder/installed.lock"
    stale_extras "$folder"
    say "Installing $lock into $folder (once, about a minute) ..."
    if { have_uv && install_with_uv "$folder" "$lock"; } || install_with_pip "$folder" "$lock"; then
        cp "$lock" "$folder/installed.lock"
        release_install "$folder"
        return 0
    fi
    release_install "$folder"
    say "The packages could not be installed; what went wrong stands above. Nothing was started."
    return 1
}

# An extra is a second lock that is installed beside the first. Its stamp is a copy of it, too; one that is there but
# differs says: wanted, not there yet. So an extra that was asked for once stays, and follows its lock.
extra_stamp() { printf '%s/installed.%s' "$1" "$(basename "$2")"; }
has_extra() { [ -e "$(extra_stamp "$1" "$2")" ]; }

# Installing the first lock anew takes away what it does not name.
stale_extras() {
    local stamp
    for stamp in "$1"/installed.*.lock; do
        if [ -e "$stamp" ]; then : >"$stamp"; fi
    done
}

# Never built from sources: that would take minutes and a compiler, and fail with pages of its output.
add_with_uv() { prepare_uv && uv pip install --quiet --require-hashes --only-binary :all: --python "$1/bin/python" -r "$2"; }

add_with_pip() {
    "$1/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r "$2"
}

# add_to_venv FOLDER LOCK: install an extra into an environment that make_venv made. Fails where that fails.
add_to_venv() {
    local folder="$1" lock="$2" stamp new=1
    stamp="$(extra_stamp "$folder" "$lock")"
    if cmp -s "$lock" "$stamp"; then return 0; fi
    wait_for_other_install "$folder"
    if cmp -s "$lock" "$stamp"; then
        release_install "$folder"
        return 0
    fi
    if [ -e "$stamp" ]; then new=; fi
    : >"$stamp"
    say "Installing $lock into $folder (once) ..."
    if { have_uv && add_with_uv "$folder" "$lock"; } || add_with_pip "$folder" "$lock"; then
        cp "$lock" "$stamp"
        release_install "$folder"
        return 0
    fi
    if [ -n "$new" ]; then rm -f "$stamp"; fi
    release_install "$folder"
    return 1
}

# Two first starts at once must not write into one folder: mkdir is the lock, the pid in it tells a dead owner.
wait_for_other_install() {
    local lock="$1.installing" owner
    until mkdir "$lock" 2>/dev/null; do
        if [ ! -d "$lock" ] && [ ! -w "$(dirname "$lock")" ]; then
            say "$(dirname "$lock") cannot be written, so no virtual environment can be made there."
            exit 1
        fi
        owner="$(cat "$lock/pid" 2>/dev/null || true)"
        if [ -n "$owner" ] && ! kill -0 "$owner" 2>/dev/null; then
            rm -rf "$lock"
        else
            sleep 0.2
        fi
    done
    echo "$$" >"$lock/pid"
    trap 'release_install "'"$1"'"' EXIT
}

release_install() {
    rm -rf "$1.installing"
    trap - EXIT
}
