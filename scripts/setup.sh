#!/usr/bin/env bash
# What every script of the root starts with: Python, Debian's packages, a virtual environment, a build. Sourced:
#
#   source scripts/setup.sh
#   setup_python "$@"              # PYTHON_BASE, PYTHON_MINOR, TAG      (--python P, the active venv, PATH's python3)
#   setup_packages build test      # installs what is missing of these groups, and only that
#   setup_venv                     # PYTHON: build/venv-$TAG/bin/python with scripts/requirements.txt
#   build release [target...]      # BUILD_DIR: build/release-$TAG
#
# Everything is quick and quiet when there is nothing to do. Errors are one line: what is wrong and what to do.
# Run by itself (scripts/setup.sh [--python P] [PRESET...]) it does all of it, for the presets given.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
SCRIPT_NAME=$(basename "$0")
# What one clone has compiled, the compiler's cache gives to another one in another folder. It costs that a debugger may
# name the first one's folder for an object.
export CCACHE_BASEDIR=$ROOT CCACHE_NOHASHDIR=1

say() { printf '%s: %s\n' "$SCRIPT_NAME" "$*" >&2; }
die() {
    say "error: $*"
    exit 1
}

# Called in a test of `if`, so it never ends the script; the output stays in a log that an error shows the end of.
run_logged() {  # run_logged LOG COMMAND...
    local log=$1
    shift
    mkdir -p "$(dirname "$log")"
    if "$@" >"$log" 2>&1 </dev/null; then return 0; fi
    tail -n 25 "$log" >&2
    return 1
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "root is needed to install Debian packages: as root run 'apt-get install ${MISSING[*]}', or install sudo"
    fi
}

# --- Debian packages ---------------------------------------------------------------------------------------------

packages_of() {
    case $1 in
        build) echo cmake ninja-build g++ ccache libasio-dev libcli11-dev libspdlog-dev node-llhttp libssl-dev libgtest-dev libgmock-dev ;;
        test) echo clang clang-tidy clang-format libclang-rt-14-dev strace git openssl ;;
        bench) echo wrk strace git openssl ;;
        docs) echo doxygen graphviz ;;
        chromium) echo chromium ;;
        programs) echo redis-tools postgresql openssl ;;  # redis-tools: see tests/programs/support/servers.py
        conformance) ;;  # CPython's own tests are part of every Python but Debian's: see setup_packages
        *) die "setup_packages: no group '$1'" ;;
    esac
}

is_installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

install_packages() {  # install_packages PACKAGE...
    MISSING=()
    command -v dpkg-query >/dev/null || {
        say "this is not a Debian: expecting to find what these packages have: $*"
        return 0
    }
    local package
    for package in "$@"; do is_installed "$package" || MISSING+=("$package"); done
    [ ${#MISSING[@]} = 0 ] && return 0
    say "installing from Debian: ${MISSING[*]}"
    local log=$ROOT/build/logs/apt.log
    local get=(env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -y -qq)
    # A fresh machine has no package lists, an old one has lists that name files which are gone.
    if ! ls /var/lib/apt/lists/*_Packages* >/dev/null 2>&1 ||
        ! run_logged "$log" as_root "${get[@]}" --no-install-recommends install "${MISSING[@]}" 2>/dev/null; then
        run_logged "$log" as_root "${get[@]}" update ||
            die "apt-get update failed (see $log): is there a network?"
        run_logged "$log" as_root "${get[@]}" --no-install-recommends install "${MISSING[@]}" ||
            die "apt-get could not install ${MISSING[*]} (see $log)"
    fi
}

setup_packages() {  # setup_packages GROUP...
    local group all=()
    for group in "$@"; do
        # shellcheck disable=SC2207
        all+=($(packages_of "$group"))
    done
    # Headers, ensurepip and the tests are packages of their own for Debian's Python, and part of every other.
    case $PYTHON_BASE in
        /usr/bin/python3*)
            all+=("libpython$PYTHON_MINOR-dev" "python$PYTHON_MINOR-venv")
            case " $* " in *" conformance "*) all+=("libpython$PYTHON_MINOR-testsuite") ;; esac
            ;;
    esac
    install_packages "${all[@]}"
}

# --- Python ------------------------------------------------------------------------------------------------------

# Prints "minor|shared|executable" of an interpreter, nothing if it does not run (a pyenv shim of a version that is
# not active exits with an error, and must not end the search).
describe_python() {
    "$1" -I -c '
import os, sys, sysconfig
exe = getattr(sys, "_base_executable", sys.executable)
print("%d.%d|%s|%s" % (*sys.version_info[:2], sysconfig.get_config_var("Py_ENABLE_SHARED"), os.path.realpath(exe)))
' 2>/dev/null </dev/null
}

setup_python() {  # setup_python [ARGS...]: looks for --python among them, whatever else is there
    local asked="" found="" description candidate
    while [ $# -gt 0 ]; do
        case $1 in
            --python)
                [ $# -ge 2 ] || die "--python wants a path or a name, as in --python python3.13"
                asked=$2
                shift
                ;;
            --python=*) asked=${1#--python=} ;;
            --) break ;;
        esac
        shift
    done
    if [ -n "$asked" ]; then
        found=$(command -v "$asked") || die "--python $asked: there is no such program"
        description=$(describe_python "$found") || die "--python $asked: it does not run as a Python interpreter"
    elif [ -n "${VIRTUAL_ENV:-}" ]; then
        found=$VIRTUAL_ENV/bin/python
        description=$(describe_python "$found") ||
            die "the active virtual environment $VIRTUAL_ENV has no working Python: deactivate it, or give --python"
    else
        # shellcheck disable=SC2207
        local all=($(type -ap python3 || true))
        if [ ${#all[@]} = 0 ]; then
            install_packages python3-minimal python3
            all=(/usr/bin/python3)
        fi
        for candidate in "${all[@]}"; do
            if description=$(describe_python "$candidate"); then
                found=$candidate
                break
            fi
        done
        [ -n "$found" ] || die "no python3 on PATH works: give one with --python"
    fi
    local shared
    IFS='|' read -r PYTHON_MINOR shared PYTHON_BASE <<<"$description"
    case $PYTHON_MINOR in
        3.11 | 3.12 | 3.13 | 3.14) ;;
        *) die "$found is Python $PYTHON_MINOR; 3.11 to 3.14 work: give one with --python (Debian 12's is /usr/bin/python3)" ;;
    esac
    [ "$shared" = 1 ] || [ "${SETUP_ANY_PYTHON:-}" = 1 ] ||
        die "$found has no shared library to link to: use Debian's /usr/bin/python3, or build it with --enable-shared (pyenv: PYTHON_CONFIGURE_OPTS=--enable-shared)"
    # Two interpreters of one minor version must not undo each other's build: the second gets a tag of its own.
    TAG=$PYTHON_MINOR
    local home=""
    [ -f "$ROOT/build/venv-$TAG/pyvenv.cfg" ] && home=$(sed -n 's/^home *= *//p' "$ROOT/build/venv-$TAG/pyvenv.cfg")
    if [ -n "$home" ] && [ "$home" != "$(dirname "$PYTHON_BASE")" ]; then
        TAG=$PYTHON_MINOR-$(printf %s "$PYTHON_BASE" | sha256sum | cut -c1-6)
    fi
}

# A relocated Python tells the place where it was built, and CMake finds no library there: then where it is now.
python_hints() {
    "$PYTHON" -c '
import sys, sysconfig
from pathlib import Path
said = Path(str(sysconfig.get_config_var("LIBDIR"))) / str(sysconfig.get_config_var("LDLIBRARY"))
name = str(sysconfig.get_config_var("INSTSONAME"))
base = Path(sys.base_prefix)
found = [p for p in (base / name, base / "lib" / name) if p.exists()]
if not said.exists() and found:
    print("-DPython_LIBRARY=%s" % found[0])
'
}

# Every Python of the machine that will do, one a minor version, oldest first: for the whole matrix.
list_pythons() {
    local candidate minor shared base seen=" "
    for candidate in /usr/bin/python3 $(type -ap python3 python3.11 python3.12 python3.13 python3.14 || true) \
        "${PYENV_ROOT:-$HOME/.pyenv}"/versions/*/bin/python3 /usr/local/bin/python3.1[1-4] /opt/*/bin/python3; do
        [ -x "$candidate" ] || continue
        IFS='|' read -r minor shared base < <(describe_python "$candidate") || continue
        case $minor:$shared in 3.1[1-4]:1) ;; *) continue ;; esac
        case $seen in *" $minor "*) continue ;; esac
        seen+="$minor "
        echo "$minor $base"
    done | sort -V | cut -d' ' -f2
}

with_lock() {  # with_lock NAME COMMAND...: two scripts started at once wait for each other instead of mixing
    local name=$1
    shift
    mkdir -p "$ROOT/build"
    (
        flock -n 9 || {
            say "waiting for another script that works on $name"
            flock 9
        }
        "$@" 9>&-
    ) 9>"$ROOT/build/.lock-$name"
}

setup_venv() {
    VENV=$ROOT/build/venv-$TAG
    PYTHON=$VENV/bin/python
    with_lock "venv-$TAG" make_venv
}

make_venv() {
    local stamp=$VENV/.stamp requirements=$ROOT/scripts/requirements.txt wanted
    wanted=$(printf '%s ' "$PYTHON_BASE" && sha256sum <"$requirements")
    [ -x "$PYTHON" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && return 0
    local log=$ROOT/build/logs/venv-$TAG.log
    if ! [ -x "$PYTHON" ] || ! "$PYTHON" -c 'import pip' 2>/dev/null; then
        say "making $(basename "$VENV") of $PYTHON_BASE"
        rm -rf "$VENV"
        run_logged "$log" "$PYTHON_BASE" -m venv "$VENV" || die "python -m venv failed (see $log)"
    fi
    say "installing from PyPI into $(basename "$VENV"): scripts/requirements.txt"
    run_logged "$log" "$PYTHON" -m pip install --disable-pip-version-check --no-input -q -r "$requirements" ||
        die "pip could not install scripts/requirements.txt (see $log): is there a network?"
    printf %s "$wanted" >"$stamp"
}

# --- Building ----------------------------------------------------------------------------------------------------

build() {  # build PRESET [TARGET...]
    BUILD_DIR=$ROOT/build/$1-$TAG
    with_lock "$1-$TAG" configure_and_build "$@" || exit  # a lock has a subshell of its own
}

configure() {  # configure PRESET: what a build needs before it builds; enough for compile_commands.json
    BUILD_DIR=$ROOT/build/$1-$TAG
    with_lock "$1-$TAG" configure_preset "$@" || exit
    # A build sees by itself that CMake's files have changed; without one the compile commands would be old ones.
    cmake --build "$BUILD_DIR" --target build.ninja >/dev/null </dev/null || die "cmake failed in $BUILD_DIR"
}

configure_preset() {
    local preset=$1
    local stamp=$BUILD_DIR/.configured wanted log=$ROOT/build/logs/configure-$preset-$TAG.log
    wanted=$(printf '%s %s ' "$PYTHON" "${CMAKE_ARGS:-}" && sha256sum <"$ROOT/CMakePresets.json")
    if [ ! -f "$BUILD_DIR/build.ninja" ] || [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
        say "configuring build/$preset-$TAG"
        # shellcheck disable=SC2086
        (cd "$ROOT" && run_logged "$log" cmake --preset "$preset" -B "$BUILD_DIR" \
            "-DPython_EXECUTABLE=$PYTHON" $(python_hints) ${CMAKE_ARGS:-}) || die "cmake failed for $preset (see $log)"
        printf %s "$wanted" >"$stamp"
    fi
}

configure_and_build() {
    local preset=$1
    shift
    configure_preset "$preset"
    local target=()
    [ $# -gt 0 ] && target=(--target "$@")
    say "building build/$preset-$TAG${*:+: $*}"
    cmake --build "$BUILD_DIR" ${JOBS:+-j "$JOBS"} "${target[@]}" </dev/null ||
        die "the build of $preset failed: the compiler's message is above"
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
    case ${1:-} in
        -h | --help)
            sed -n '2,12s/^# \{0,1\}//p' "$0"
            exit 0
            ;;
    esac
    setup_python "$@"
    setup_packages build test
    setup_venv
    [ "${1:-}" = --python ] && shift 2
    for preset in "$@"; do build "$preset"; done
fi
