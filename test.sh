#!/usr/bin/env bash
# Proves that it works: installs what is missing, builds, and runs every test.
#
#   ./test.sh [--python P] [--full] [--jobs N] [SUITE...]
#   ./test.sh --conformance
#
# Without a SUITE all of them. On 2 cores that is about 20 minutes when the compiler's cache is warm, and about 30 on
# a machine that has nothing yet:
#   lint         include direction, sizes, reference counting, formatting, clang-tidy, ruff, mypy, Clang's thread safety,
#                the pages (tests/docs)
#   common       everything in C++ under AddressSanitizer and UndefinedBehaviorSanitizer (contract tests included)
#   contract     the runner contract alone: under ASan+UBSan, and under ThreadSanitizer
#   threads      what crosses threads under ThreadSanitizer
#   python       the Python package and the bench's harness, without a server
#   equivalence  the black-box suite: three servers and the switch, release build
#   switch       the supervisor, release build
#   loop         the event loop by itself, asyncio's own as the oracle, release build
#   package      the wheel and the sdist of asioloop, built and installed into fresh virtual environments; stubtest
#   programs     real programs on it (uvicorn, aiohttp, websockets, redis, asyncpg, anyio, ...), asyncio as the oracle
#   conformance  CPython's own tests of asyncio on that loop (docs/guides/conformance.md), release build
#   stage_alone  each stage configured, built and smoked by itself
#   fuzz         libFuzzer on the connection and on the parser alone, 60 s together (FUZZ_SECONDS)
# --full         the whole matrix: those, a longer fuzz run (FUZZ_SECONDS, 300), and the suites below; then what depends
#                on the Python with every other Python found here. Hours, not minutes.
#   equivalence_asan, equivalence_tsan, switch_asan   the black-box suites over sanitizer builds
#   soak         all handlers for SOAK_SECONDS (300), with leaks watched
#   debug, clang, coverage                            everything in C++ in these builds
# --conformance  the suite of that name with every Python found here, or those given
# PYTEST_ARGS, CTEST_ARGS are added to those commands.
source "$(dirname "$0")/scripts/setup.sh"

ALL=(lint common threads python loop package programs conformance equivalence switch stage_alone fuzz)
MORE=(equivalence_asan equivalence_tsan switch_asan soak debug clang coverage)
# What does not depend on the Python is shown by the first one.
OTHER_PYTHONS=(common threads loop package programs conformance equivalence switch)
suites=() full="" everywhere="" python=()
while [ $# -gt 0 ]; do
    case $1 in
        -h | --help)
            sed -n '2,29s/^# \{0,1\}//p' "$0"
            exit 0
            ;;
        --full) full=1 everywhere=1 ;;
        --conformance) suites+=(conformance) everywhere=1 ;;
        --python)
            [ $# -ge 2 ] || die "--python wants a path or a name, as in --python python3.13"
            python=(--python "$2")
            shift
            ;;
        --python=*) python=("$1") ;;
        --jobs)
            [ $# -ge 2 ] || die "--jobs wants a number"
            JOBS=$2
            shift
            ;;
        *)
            case " ${ALL[*]} ${MORE[*]} contract " in *" $1 "*) ;; *) die "'$1' is no flag and no suite: see ./test.sh --help" ;; esac
            suites+=("$1")
            ;;
    esac
    shift
done
others=("${suites[@]}")
if [ ${#suites[@]} = 0 ]; then
    suites=("${ALL[@]}" ${full:+"${MORE[@]}"})
    others=("${OTHER_PYTHONS[@]}")
fi
cd "$ROOT"

closing=() failed=()
started=$SECONDS
logs=$ROOT/build/logs
mkdir -p "$logs"

# Runs a step to its end, remembers its closing line, and goes on when it failed: one run tells everything.
step() {  # step NAME COMMAND...
    local name=$1 log=$logs/test-$1.log since=$SECONDS status=0
    shift
    say "--- $name"
    ("$@") 2>&1 </dev/null | tee "$log" || status=$?
    [ "$status" = 0 ] || failed+=("$name")
    local line
    line=$(grep -E '^=+ .*(passed|failed|error|no tests ran).* =+$|tests passed, .* failed out of|^No tests were found|^Done .* in .* second' "$log" | tail -n 1 || true)
    closing+=("$(printf '%-24s %4d s  %s' "$name" $((SECONDS - since)) "${line:-$([ "$status" = 0 ] && echo ok || echo FAILED)}")")
}

# A shell starts what runs in the background (`./test.sh &`, nohup) with SIGINT ignored, which every program started from
# there inherits: the tests that send it would wait for ever.
interruptible() { env --default-signal=INT "$@"; }

run_pytest() { interruptible "$PYTHON" -m pytest ${PYTEST_ARGS:-} "$@"; }

# What waits for processes and sockets more than it computes: more workers than cores.
run_pytest_at_once() { run_pytest -n "$((${JOBS:-$(nproc)} + 1))" --dist worksteal "$@"; }

# The programs that operators run, and the loop's module.
PROGRAMS=(asioserve stage1_server stage2_server stage3_server asioloop_module)

run_ctest() {  # run_ctest PRESET ARGS...
    local dir=$ROOT/build/$1-$TAG
    shift
    local threads=${JOBS:-$(nproc)}
    interruptible ctest --test-dir "$dir" -j "$threads" --output-on-failure --no-tests=error ${CTEST_ARGS:-} "$@"
}

sanitizers() {  # sanitizers [SUPPRESSIONS]
    local folder=$ROOT/tests/sanitizers quarantine=""
    # Servers' memory is measured: what they have freed must not count for long.
    [ -z "${1:-}" ] || quarantine=quarantine_size_mb=8:
    export ASAN_OPTIONS="${quarantine}detect_leaks=1:fast_unwind_on_malloc=0:malloc_context_size=100:detect_stack_use_after_return=1:strict_string_checks=1:abort_on_error=0:${ASAN_OPTIONS:-}"
    export LSAN_OPTIONS="suppressions=$folder/${1:-lsan}.supp:print_suppressions=0:${LSAN_OPTIONS:-}"
    export TSAN_OPTIONS="suppressions=$folder/tsan.supp:halt_on_error=1:second_deadlock_stack=1:${TSAN_OPTIONS:-}"
    export UBSAN_OPTIONS="print_stacktrace=1:${UBSAN_OPTIONS:-}"
}

suite_lint() {
    CMAKE_ARGS=-DASIOSERVE_FUZZ=ON configure clang
    ASIOSERVE_CLANG_BUILD=$BUILD_DIR ASIOSERVE_LINT_ALL=${full:-} run_pytest tests/lint tests/docs
}
suite_common() {
    build asan
    sanitizers
    run_ctest asan
}
suite_contract() {
    build asan contract_tests
    sanitizers
    run_ctest asan -L contract
}
suite_threads() {
    build tsan tsan_tests
    sanitizers
    run_ctest tsan -L 'contract|threads'
}
suite_python() {
    local folder folders=()
    for folder in tests/python bench/tests; do [ -d "$folder" ] && folders+=("$folder"); done
    run_pytest "${folders[@]}"
}
suite_equivalence() {
    build "${1:-release}" "${PROGRAMS[@]}"
    sanitizers lsan_servers
    ASIOSERVE_BIN=$BUILD_DIR/bin run_pytest_at_once tests/equivalence
}
suite_switch() {
    build "${1:-release}" "${PROGRAMS[@]}"
    sanitizers lsan_servers
    ASIOSERVE_BIN=$BUILD_DIR/bin run_pytest_at_once tests/switch
}
suite_loop() {
    build "${1:-release}" "${PROGRAMS[@]}"
    ASIOSERVE_EXT_DIR=$BUILD_DIR/ext run_pytest_at_once tests/loop
}
suite_package() {
    build release asioloop_module
    ASIOSERVE_EXT_DIR=$BUILD_DIR/ext ASIOSERVE_PACKAGE_DIR=$ROOT/build/package-$TAG run_pytest tests/package
}
suite_programs() {
    source tests/programs/setup.sh
    setup_packages programs
    setup_programs
    build release asioloop_module
    ASIOSERVE_EXT_DIR=$BUILD_DIR/ext interruptible "$PROGRAMS_VENV/bin/python" -m pytest ${PYTEST_ARGS:-} tests/programs
}
suite_conformance() {
    setup_packages conformance
    build release asioloop_module
    ASIOSERVE_EXT_DIR=$BUILD_DIR/ext interruptible "$PYTHON" tests/conformance/run.py ${JOBS:+--jobs "$JOBS"}
}
suite_stage_alone() {
    ASIOSERVE_PYTHON=$PYTHON ASIOSERVE_ALONE=$ROOT/build/alone-$TAG run_pytest tests/stage_alone
}
suite_fuzz() {
    CMAKE_ARGS=-DASIOSERVE_FUZZ=ON build clang connection_fuzz parser_fuzz
    sanitizers
    local all=${FUZZ_SECONDS:-60} status=0
    run_fuzzer connection $((all - all / 3)) || status=$?
    run_fuzzer parser $((all / 3)) || status=$?
    return "$status"
}
run_fuzzer() {  # run_fuzzer NAME SECONDS
    local corpus=$ROOT/build/fuzz-corpus/$1 seeds=$ROOT/tests/fuzz/corpus
    mkdir -p "$corpus" "$seeds"
    "$BUILD_DIR/bin/$1_fuzz" -max_total_time="$2" -timeout=10 -rss_limit_mb=2048 \
        -print_final_stats=0 -verbosity=0 -artifact_prefix="$logs/$1-" "$corpus" "$seeds"
}
suite_soak() {
    build release "${PROGRAMS[@]}"
    ASIOSERVE_BIN=$BUILD_DIR/bin ASIOSERVE_SOAK_SECONDS=${SOAK_SECONDS:-300} run_pytest tests/equivalence/soak.py
}

suite_equivalence_asan() { ASIOSERVE_TEST_SLOWNESS=4 suite_equivalence asan; }
suite_equivalence_tsan() { ASIOSERVE_TEST_SLOWNESS=4 suite_equivalence tsan; }
suite_switch_asan() { ASIOSERVE_TEST_SLOWNESS=4 suite_switch asan; }
build_and_ctest() {
    build "$1"
    run_ctest "$1"
}
suite_debug() { build_and_ctest debug; }
suite_clang() { CMAKE_ARGS=-DASIOSERVE_FUZZ=ON build_and_ctest clang; }
suite_coverage() { build_and_ctest coverage; }

run_suites() {
    local suite
    for suite in "${suites[@]}"; do
        step "$suite$1" "suite_$suite"
        [ "$suite" != contract ] || step "contract-tsan$1" suite_threads
    done
}

prepare() {
    setup_packages build test docs
    setup_venv
}

if [ -z "$everywhere" ]; then
    setup_python "${python[@]}"
    prepare
    run_suites ""
else
    if [ ${#python[@]} -gt 0 ]; then pythons=("${python[1]:-${python[0]#--python=}}"); else mapfile -t pythons < <(list_pythons); fi
    export FUZZ_SECONDS=${FUZZ_SECONDS:-300}
    for interpreter in "${pythons[@]}"; do
        setup_python --python "$interpreter"
        prepare
        say "=== Python $PYTHON_MINOR ($interpreter)"
        run_suites "-$PYTHON_MINOR"
        suites=("${others[@]}")
    done
fi

echo
say "took $(((SECONDS - started) / 60)) min $(((SECONDS - started) % 60)) s"
printf '%s\n' "${closing[@]}"
if [ ${#failed[@]} -gt 0 ]; then
    say "failed: ${failed[*]}"
    exit 1
fi
say "all passed"
