#!/usr/bin/env bash
# The peers' virtual environment. Sourced by bench.sh after scripts/setup.sh: setup_peers sets PEERS, its folder.

setup_peers() {
    PEERS=$ROOT/build/venv-peers-$TAG
    with_lock "venv-peers-$TAG" make_peers
}

make_peers() {
    local requirements=$ROOT/bench/peers/requirements.txt stamp=$PEERS/.stamp wanted
    local log=$ROOT/build/logs/venv-peers-$TAG.log
    wanted=$(printf '%s ' "$PYTHON_BASE" && sha256sum <"$requirements")
    [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && return 0
    say "installing from PyPI into $(basename "$PEERS"): bench/peers/requirements.txt"
    rm -rf "$PEERS"
    run_logged "$log" "$PYTHON_BASE" -m venv "$PEERS" || die "python -m venv failed (see $log)"
    # socketify's wheel is a shared library that wants libuv.
    install_packages libuv1
    run_logged "$log" "$PEERS/bin/python" -m pip install --disable-pip-version-check --no-input -q -r "$requirements" ||
        die "pip could not install bench/peers/requirements.txt (see $log): is there a network?"
    printf %s "$wanted" >"$stamp"
}
