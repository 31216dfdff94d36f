#!/usr/bin/env bash
# What the machine needs beyond Python: tools/setup.sh --for-tests | --for-bench | --engine-answers
#
# As root on Debian or Ubuntu it installs what is missing, saying so line by line, and starts a Docker engine when none
# answers. Elsewhere it names what is missing and goes on; with CI=true that is an error (exit 3).
# --engine-answers does nothing but tell by its exit status. When all is there this takes well under a second.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

say() { printf 'setup: %s\n' "$*" >&2; }

engine_answers() {
    python3 - <<'PYTHON' 2>/dev/null
import os, socket, sys
scheme, _, path = (os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock").partition("://")
if scheme == "unix":
    with socket.socket(socket.AF_UNIX) as engine:
        engine.settimeout(5)
        engine.connect(path)
        engine.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
        sys.exit(b" 200 " not in engine.recv(64))
PYTHON
}

# One that DOCKER_HOST names is its owner's.
engine_is_ours_to_start() { [[ -z ${DOCKER_HOST-} ]] && ! engine_answers; }

packages=()
want() { # WANTER THING PACKAGE: THING is a command, or a file when it begins with /
    local wanter=$1 thing=$2 package=$3
    if [[ $thing == /* ]]; then
        [[ -e $thing ]] && return
    else
        command -v "$thing" >/dev/null && return
    fi
    say "$wanter need $thing: apt-get install -y $package"
    [[ " ${packages[*]-} " == *" $package "* ]] || packages+=("$package")
}

wheels=()
want_wheel() { # WANTER NAME==VERSION, of PyPI: it is installed where simctl is
    [[ -x .venv/bin/python ]] || { say "$1 need $2, which is installed in .venv: make setup-dev makes it"; return; }
    .venv/bin/python -c 'import importlib.metadata, sys; importlib.metadata.version(sys.argv[1])' "${2%%==*}" \
        2>/dev/null && return
    say "$1 need $2: .venv/bin/python -m pip install $2"
    wheels+=("$2")
}

want_for_tests() {
    want tests ip iproute2
    want tests ss iproute2
    want tests netstat net-tools
    want tests nft nftables
    want tests tcpdump tcpdump
    want tests nsenter util-linux
    want tests ps procps
    want tests docker-compose docker-compose
    want tests qemu-system-x86_64 qemu-system-x86
    want tests mmdebstrap mmdebstrap
    want tests mke2fs e2fsprogs
    want tests mn mininet # the benchmarks' peer; it takes its bridges from brctl
    want tests brctl bridge-utils
    # What each node kind says that it needs, one `{command|file: THING, package: PACKAGE}` a line.
    local thing package
    while read -r thing package; do
        want tests "$thing" "$package"
    done < <(sed -n 's/^ *- {\(command\|file\): *\([^ ,]*\), *package: *\([^ }]*\)} *$/\2 \3/p' nodes/*/node.yaml | sort -u)
    local wheel
    while read -r wheel; do
        want_wheel tests "$wheel"
    done < <(sed -n 's/^ *- {wheel: *\([^ }]*\)} *$/\1/p' nodes/*/node.yaml | sort -u)
    engine_is_ours_to_start || return 0
    want tests dockerd docker.io
    want tests iptables iptables
    # What systemd, or most other init systems, did at boot.
    grep -q ' cgroup' /proc/self/mounts || want tests cgroupfs-mount cgroupfs-mount
}

want_for_bench() { # a test runs each benchmark, so tests want the same
    want_for_tests
}

may_install() { [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null && command -v dpkg >/dev/null; }

# A server that Debian installs is started at once; ours run in labs only. 101: do not (policy-rc.d of invoke-rc.d).
POLICY=/usr/sbin/policy-rc.d
start_no_service() {
    [[ ! -e $POLICY && -w ${POLICY%/*} ]] || return 0
    trap 'rm -f "$POLICY"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$POLICY"
    chmod 755 "$POLICY"
}

install_packages() {
    local log package names=()
    start_no_service
    log=$(mktemp -t simctl-apt.XXXXXX)
    apt-get -qq update >"$log" 2>&1 || say "apt-get update failed; trying with the lists that are here"
    for package in "${packages[@]}"; do
        # Debian 13 has no OpenJDK 17 any more.
        if [[ $package == openjdk-17-* ]] && ! apt-cache show "$package" >/dev/null 2>&1; then
            package=default-jdk-headless
            say "there is no openjdk-17-jdk-headless here: taking $package"
        fi
        names+=("$package")
    done
    if ! DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends \
        -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0 "${names[@]}" >>"$log" 2>&1 </dev/null; then
        tail -n 20 "$log" >&2
        say "apt-get could not install: ${names[*]} (all that it said: $log)"
        exit 3
    fi
    rm -f "$log"
}

# The engine must outlive this script and hold none of its caller's descriptors open: a pipe would never end.
run_dockerd() {
    local log=$1 fd
    for fd in /proc/"$BASHPID"/fd/*; do
        fd=${fd##*/}
        if ((fd > 2 && fd < 255)); then eval "exec $fd>&-"; fi
    done
    cd /
    exec setsid --fork dockerd </dev/null >"$log" 2>&1
}

start_engine() {
    local log="" begun=$SECONDS
    if [[ -d /run/systemd/system ]]; then
        say "no Docker engine answers: systemctl start docker"
        systemctl start docker || true
    else
        grep -q ' cgroup' /proc/self/mounts || cgroupfs-mount
        log=$(mktemp -t simctl-dockerd.XXXXXX)
        say "no Docker engine answers: starting dockerd, its log is $log"
        (run_dockerd "$log")
    fi
    while ((SECONDS - begun < 60)); do
        if engine_answers; then
            say "the Docker engine answers after $((SECONDS - begun)) s"
            return
        fi
        if ((SECONDS - begun > 5)) && ! pgrep -x dockerd >/dev/null; then break; fi
        sleep 0.1
    done
    [[ -z $log ]] || tail -n 20 "$log" >&2
    say "the Docker engine does not answer"
    return 3
}

incomplete() {
    say "$*"
    if [[ ${CI-} == true ]]; then exit 3; fi
    say "going on without; what needs it is skipped, and says so"
    exit 0
}

case ${1-} in
    --for-tests) want_for_tests ;;
    --for-bench) want_for_bench ;;
    --engine-answers) engine_answers && exit 0 || exit 1 ;;
    *)
        say "usage: tools/setup.sh --for-tests | --for-bench | --engine-answers"
        exit 2
        ;;
esac

if ((${#wheels[@]})); then
    .venv/bin/python -m pip install --quiet --disable-pip-version-check "${wheels[@]}" ||
        incomplete "pip could not install what node kinds need: ${wheels[*]}"
fi
if ((${#packages[@]})); then
    may_install || incomplete "missing on this machine (only root on Debian or Ubuntu installs them here): ${packages[*]}"
    install_packages
fi
if engine_is_ours_to_start; then
    if [[ $(id -u) != 0 ]] || ! command -v dockerd >/dev/null; then
        incomplete "no Docker engine answers, and only root can start one"
    fi
    start_engine || incomplete "tests on docker have no engine"
fi
say "all that ${1#--for-} need is here"
