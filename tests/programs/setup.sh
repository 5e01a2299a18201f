#!/usr/bin/env bash
# The programs' virtual environment. Sourced by test.sh after scripts/setup.sh: setup_programs sets PROGRAMS_VENV, its folder.

setup_programs() {
    PROGRAMS_VENV=$ROOT/build/venv-programs-$TAG
    with_lock "venv-programs-$TAG" make_programs
}

make_programs() {
    local requirements=$ROOT/tests/programs/requirements.txt stamp=$PROGRAMS_VENV/.stamp wanted
    local log=$ROOT/build/logs/venv-programs-$TAG.log
    wanted=$(printf '%s ' "$PYTHON_BASE" && sha256sum <"$requirements")
    [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && return 0
    say "installing from PyPI into $(basename "$PROGRAMS_VENV"): tests/programs/requirements.txt"
    rm -rf "$PROGRAMS_VENV"
    run_logged "$log" "$PYTHON_BASE" -m venv "$PROGRAMS_VENV" || die "python -m venv failed (see $log)"
    run_logged "$log" "$PROGRAMS_VENV/bin/python" -m pip install --disable-pip-version-check --no-input -q \
        --only-binary :all: -r "$requirements" ||
        die "pip could not install tests/programs/requirements.txt (see $log): is there a network?"
    printf %s "$wanted" >"$stamp"
}
