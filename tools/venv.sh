#!/usr/bin/env bash
# Makes .venv and installs simctl into it, editable: tools/venv.sh [dev]
# PYTHON=... chooses the interpreter. `make` calls this when pyproject.toml is newer than the stamp that it leaves.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly EXTRA=${1:-}

say() { printf 'setup: %s\n' "$*" >&2; }

usable() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
    local candidate
    for candidate in ${PYTHON:+"$PYTHON"} python3 python3.14 python3.13 python3.12 python3.11 /usr/bin/python3; do
        if command -v "$candidate" >/dev/null && usable "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    say "simctl needs Python 3.11 or newer; found: $(python3 --version 2>&1 || true)"
    say "install one (Debian 12, Ubuntu 24.04 and newer: apt-get install python3 python3-venv), or name it: make PYTHON=/path/to/python3.12"
    return 3
}

# Debian takes ensurepip out of python3 and puts it into a package of its own.
need_ensurepip() {
    local python=$1 package
    "$python" -c 'import ensurepip, venv' 2>/dev/null && return
    package=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
        say "$python cannot make virtual environments: install $package (sudo apt-get install $package), then try again"
        return 3
    fi
    say "$python needs $package: apt-get install -y $package"
    apt-get -qq update >/dev/null || say "apt-get update failed; trying with the lists that are here"
    DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends \
        -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0 "$package" >/dev/null </dev/null
}

if ! { usable .venv/bin/python && .venv/bin/python -m pip --version >/dev/null 2>&1; }; then
    python=$(find_python)
    need_ensurepip "$python"
    say "making .venv with $python ($("$python" --version))"
    "$python" -m venv --clear .venv
fi

say "installing simctl and its libraries${EXTRA:+ ($EXTRA)} into .venv from PyPI"
.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable ".${EXTRA:+[$EXTRA]}" || {
    say "pip could not install them: it needs the network to PyPI, or an index of yours in PIP_INDEX_URL"
    exit 3
}
# Nodes see the checkout read-only, and some shells forbid bytecode: without it each start would compile anew.
env -u PYTHONDONTWRITEBYTECODE .venv/bin/python -m compileall -q orchestrator nodes || true
touch ".venv/.installed${EXTRA:+-$EXTRA}"
