#!/usr/bin/env bash
# Builds the servers (Release), installs what is missing, and measures: ./bench.sh --help. Needs no terminal.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source scripts/setup.sh

setup_python "$@"
[ $# -gt 0 ] || set -- --help
# Before anything is installed or built: --help and wrong flags cost nothing, and any Python 3.11 knows them.
check() { PYTHONDONTWRITEBYTECODE=1 "$PYTHON_BASE" -m bench.harness "$@"; }
for argument in "$@"; do
    case $argument in -h | --help) check --help && exit 0 ;; esac
done
target=$(check --only-check "$@")

setup_packages build bench
setup_venv

others=()
programs=(light_load floor_server fake_server)
case $target in
    stage1) programs+=(stage1_server) ;;
    stage2) programs+=(stage1_server stage2_server) ;;
    stage3) programs+=(stage2_server stage3_server) ;;
    all) programs+=(stage1_server stage2_server stage3_server) ;;
    peers)
        programs+=(stage3_server)
        source bench/peers/setup.sh
        setup_peers
        others=(--peers-dir "$PEERS")
        ;;
    loop)
        programs=(echo_load asioloop_module)
        source bench/loop/setup.sh
        setup_loops
        others=(--loops-dir "$LOOPS")
        ;;
esac
build release "${programs[@]}"

exec "$PYTHON" -m bench.harness --build-dir "$BUILD_DIR" "${others[@]}" "$@"
