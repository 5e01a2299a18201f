#!/usr/bin/env bash
# Builds what is missing and serves an app:
#
#   ./serve.sh [--python P] [--stage 1|2|3] [APP] [FLAGS...]
#
# APP is module:attr or file.py:attr, examples/hello.py:app when it is left out; FLAGS go to the server as they are
# (./serve.sh --help-server shows them). Stage 3 is the default, with no fallback to another.
source "$(dirname "$0")/scripts/setup.sh"

stage=3 rest=() python=()
while [ $# -gt 0 ]; do
    case $1 in
        -h | --help)
            sed -n '2,7s/^# \{0,1\}//p' "$0"
            exit 0
            ;;
        --help-server) rest+=(--help) ;;
        --python)
            [ $# -ge 2 ] || die "--python wants a path or a name, as in --python python3.13"
            python=(--python "$2")
            shift
            ;;
        --python=*) python=("$1") ;;
        --stage)
            [ $# -ge 2 ] || die "--stage wants 1, 2 or 3"
            stage=$2
            shift
            ;;
        --stage=*) stage=${1#--stage=} ;;
        *)
            rest+=("$@")
            break
            ;;
    esac
    shift
done
case $stage in 1 | 2 | 3) ;; *) die "--stage $stage: there are stages 1, 2 and 3" ;; esac

setup_python "${python[@]}"
setup_packages build
setup_venv
build release "stage${stage}_server" asioserve >&2

# The app's folder, so that it runs from wherever this was called: APP and FLAGS are relative to the caller.
app=$ROOT/examples/hello.py:app
case ${rest[0]:-} in
    "" | -*) ;;
    *)
        app=${rest[0]}
        rest=("${rest[@]:1}")
        ;;
esac
exec "$BUILD_DIR/bin/asioserve" "$app" --stage "$stage" --fallback none "${rest[@]}"
