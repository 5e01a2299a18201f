#!/usr/bin/env bash
# Writes what changes from each stage to the next one into FOLDER/1-2.diff and FOLDER/2-3.diff: the lesson in one file.
#
#   scripts/stage_diffs.sh [FOLDER]       docs/diffs is the default
#
# Only code that the stages have under equal names is compared line by line; what a stage has alone is listed by name.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
to=$(mkdir -p "${1:-$root/docs/diffs}" && cd "${1:-$root/docs/diffs}" && pwd)
cd "$root"
stages=(stage1_cross_thread stage2_cached_locals stage3_native_loop)

for n in 1 2; do
    before=${stages[n - 1]} after=${stages[n]} out=$to/$n-$((n + 1)).diff
    : >"$out.new"
    for file in CMakeLists.txt main.cpp runner.hpp runner.cpp; do
        # 1 is "they differ"; anything above is an error.
        diff -u --label "$before/$file" --label "$after/$file" "$before/$file" "$after/$file" >>"$out.new" || [ $? = 1 ]
    done
    for side in "$before" "$after"; do
        other=$([ "$side" = "$before" ] && echo "$after" || echo "$before")
        for path in "$side"/*.?pp; do
            name=$(basename "$path")
            [ -e "$other/$name" ] || echo "Only in $side: $name" >>"$out.new"
        done
    done
    # An unchanged file keeps its time, so that nothing is built again for it.
    if cmp -s "$out.new" "$out"; then rm "$out.new"; else mv "$out.new" "$out"; fi
done
