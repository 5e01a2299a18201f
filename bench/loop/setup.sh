#!/usr/bin/env bash
# The loops' virtual environment. Sourced by bench.sh after scripts/setup.sh: setup_loops sets LOOPS, its folder.

setup_loops() {
    LOOPS=$ROOT/build/venv-loops-$TAG
    with_lock "venv-loops-$TAG" make_loops
}

make_loops() {
    local requirements=$ROOT/bench/loop/requirements.txt stamp=$LOOPS/.stamp wanted requirement
    local log=$ROOT/build/logs/venv-loops-$TAG.log
    wanted=$(printf '%s ' "$PYTHON_BASE" && sha256sum <"$requirements")
    [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && return 0
    say "installing from PyPI into $(basename "$LOOPS"): bench/loop/requirements.txt"
    rm -rf "$LOOPS"
    run_logged "$log" "$PYTHON_BASE" -m venv "$LOOPS" || die "python -m venv failed (see $log)"
    # One by one, and never built from source: a loop that has no wheel for this Python must not take the others away.
    while read -r requirement; do
        case $requirement in '' | '#'*) continue ;; esac
        run_logged "$log.$requirement" "$LOOPS/bin/python" -m pip install --disable-pip-version-check --no-input -q \
            --only-binary :all: "$requirement" 2>/dev/null ||
            say "$requirement cannot be had for Python $PYTHON_MINOR (see $log.$requirement)"
    done <"$requirements"
    [ -x "$LOOPS/bin/uvicorn" ] || die "pip could not even install uvicorn (see $log.*): is there a network?"
    printf %s "$wanted" >"$stamp"
}
