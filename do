#!/bin/sh
# One word for each thing that a user or a developer does with a checkout:
#
#   ./do try [NETWORK...]  install, then measure a real network and leave a report
#   ./do test [ARGS...]    install what is needed, then lint, types and every test
#   ./do lint | types      only that
#   ./do build             source archive and wheel, into dist/
#   ./do bench             every ratio of docs/figures.md, printed
#   ./do docs              write the tables of docs/ anew from the registries
#   ./do lock              write constraints.txt anew from what is installed
set -eu
cd "$(dirname "$0")"
venv=${GROUNDSPEED_VENV:-.venv}

say() { printf '\033[1m== %s\033[0m\n' "$*" >&2; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null; then sudo "$@"
    else echo "this needs root: $*" >&2; exit 1
    fi
}

debian() {  # debian COMMAND PACKAGE...: install the packages unless the command is there
    command -v "$1" >/dev/null && return
    shift
    say "installing Debian packages: $*"
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

python() {  # an interpreter that is new enough
    for name in python3.11 python3.12 python3.13 python3; do
        if command -v "$name" >/dev/null &&
            "$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'; then
            echo "$name"
            return
        fi
    done
    echo "Python 3.11, 3.12 or 3.13 is needed (apt-get install python3.11)" >&2
    exit 1
}

install() {  # install GROUP|"": the package with all extras, editable, into the virtual environment
    if [ ! -x "$venv/bin/pip" ]; then
        interpreter=$(python)
        "$interpreter" -c 'import ensurepip' 2>/dev/null || debian no-venv python3-venv
        "$interpreter" -m venv "$venv"
        "$venv/bin/pip" install -q -U 'pip>=25.1'
    fi
    key="$1 $(cat pyproject.toml constraints.txt | cksum)"
    if [ "$(cat "$venv/.installed" 2>/dev/null)" = "$key" ]; then return; fi
    say "installing into $venv (about 2 GB, some minutes the first time)"
    # The CPU build of torch is not on PyPI for every platform; its own index has it.
    "$venv/bin/pip" install -q -c constraints.txt torch ||
        "$venv/bin/pip" install -q -c constraints.txt torch --index-url https://download.pytorch.org/whl/cpu
    "$venv/bin/pip" install -q -c constraints.txt -e '.[all]' ${1:+--group "$1"}
    echo "$key" >"$venv/.installed"
}

lint() { say lint; "$venv/bin/ruff" check .; "$venv/bin/ruff" format --check .; }
types() { say types; "$venv/bin/mypy"; }

verb=${1:-help}
[ $# -eq 0 ] || shift
case $verb in
try)
    install ""
    "$venv/bin/groundspeed" run "${@:-shufflenet_v2_x1_0}"
    ;;
test)
    debian chromium chromium
    [ -d /usr/share/datasets/fashion-mnist ] || debian none dataset-fashion-mnist
    for shell in busybox mksh toybox; do debian "$shell" "$shell"; done
    debian adb adb
    debian /usr/sbin/sshd openssh-server
    debian pgrep procps
    debian qemu-aarch64-static qemu-user-static
    debian qemu-system-aarch64 qemu-system-arm
    debian fdtput device-tree-compiler
    debian cpio cpio
    debian mmdebstrap mmdebstrap arch-test
    debian ip iproute2
    debian g++ g++
    debian cmake cmake
    debian ninja ninja-build
    debian aarch64-linux-gnu-g++ g++-aarch64-linux-gnu
    debian valgrind valgrind
    [ -d /usr/lib/postgresql ] || debian none postgresql
    install dev
    lint
    types
    say tests
    export GROUNDSPEED_REQUIRE_BROWSER=1 GROUNDSPEED_REQUIRE_ARM64=1 GROUNDSPEED_REQUIRE_POSTGRESQL=1 GROUNDSPEED_REQUIRE_VALGRIND=1
    "$venv/bin/python" -m pytest -n 2 --dist loadfile "$@"
    ;;
lint) install dev; lint ;;
types) install dev; types ;;
build) install dev; rm -rf build dist; "$venv/bin/python" -m build ;;
bench) install bench; "$venv/bin/python" benchmarks/all.py "$@" ;;
docs) install dev; "$venv/bin/python" docs/generate.py ;;
lock)
    install bench
    {
        sed '/^[^#]/,$d' constraints.txt
        "$venv/bin/pip" list --format=freeze --exclude-editable --exclude pip --exclude setuptools
    } >constraints.new
    mv constraints.new constraints.txt
    ;;
*)
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0"
    [ "$verb" = help ] || exit 2
    ;;
esac
