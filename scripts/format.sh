#!/usr/bin/env bash
# Formats all C++ and Python code in place, as the lint tests want it.
source "$(dirname "$0")/setup.sh"
setup_python "$@"
setup_packages test
setup_venv
cd "$ROOT"
git ls-files -z --cached --others --exclude-standard -- '*.hpp' '*.cpp' | xargs -0 clang-format -i
"$PYTHON" -m ruff check -q --no-cache --fix --exit-zero .
"$PYTHON" -m ruff format -q --no-cache .
