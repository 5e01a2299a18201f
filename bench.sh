#!/usr/bin/env bash
# Builds the servers (Release), installs what is missing, and measures: ./bench.sh --help. Needs no terminal.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source scripts/setup.sh

# Before anything is installed or built: --help and wrong flags cost nothing. Any Python 3.11 can say so.
setup_python "$@"
if [ $# = 0 ]; then set -- --help; fi
status=0
PYTHONDONTWRITEBYTECODE=1 "$PYTHON_BASE" -m bench.harness --only-check "$@" || status=$?
[ "$status" = 0 ] || exit "$status"
for argument in "$@"; do
    case $argument in -h | --help) exit 0 ;; esac
done

setup_packages build bench
setup_venv

peers=()
if [ "$1" = peers ] || [[ " $* " == *" peers "* ]]; then
    source bench/peers/setup.sh
    setup_peers
    peers=(--peers-dir "$PEERS")
fi

targets=(light_load floor_server fake_server)
for argument in "$@"; do
    case $argument in
        stage1) targets+=(stage1_server) ;;
        stage2) targets+=(stage1_server stage2_server) ;;
        stage3) targets+=(stage2_server stage3_server) ;;
        peers) targets+=(stage3_server) ;;
        all) targets+=(stage1_server stage2_server stage3_server) ;;
    esac
done
build release "${targets[@]}"

exec "$PYTHON" -m bench.harness --build-dir "$BUILD_DIR" "${peers[@]}" "$@"
