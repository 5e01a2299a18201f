"""The tree keeps its rules, and each rule finds what it is there for."""

from __future__ import annotations

import warnings

import pytest
from rules import ROOT, RULES, Rule, files, includes, size_warning, text_of

TEXT = tuple(
    name
    for name in files()
    if name.endswith(
        (
            ".hpp",
            ".cpp",
            ".h",
            ".py",
            ".txt",
            ".cmake",
            ".sh",
            ".md",
            ".toml",
            ".json",
            ".supp",
            ".c",
            ".html",
        )
    )
    or "." not in name
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_file_keeps(rule: Rule) -> None:
    wrong = [problem for name in TEXT for problem in rule(name, text_of(name))]
    assert not wrong, "\n".join(wrong)


#: Rule, file, and a text that breaks it.
VIOLATIONS = [
    ("include_direction", "common/http/server.cpp", '#include "common/app/program.hpp"\n'),
    ("include_direction", "common/runner/runner.hpp", '#  include "common/http/server.hpp"\n'),
    ("include_direction", "common/app/x.cpp", '#include "stage3_native_loop/runner.hpp"\n'),
    ("include_direction", "stage1_cross_thread/x.cpp", '#include "stage2_cached_locals/runner.hpp"\n'),
    ("include_direction", "stage3_native_loop/x.cpp", '#include "tests/fakes/fake_handler.hpp"\n'),
    ("include_direction", "fallback_switch/x.cpp", '#include "common/http/server.hpp"\n'),
    ("python_free", "common/http/x.cpp", "#include <Python.h>\n"),
    ("python_free", "fallback_switch/x.hpp", '#include "common/python/ref.hpp"\n'),
    (
        "python_free",
        "fallback_switch/CMakeLists.txt",
        "target_link_libraries(asioserve PRIVATE Python::Python)\n",
    ),
    ("one_door_to_python", "common/app/x.cpp", "#include <Python.h>\n"),
    ("stages_apart", "common/app/x.cpp", "// as stage3_native_loop does\n"),
    ("stages_apart", "stage1_cross_thread/CMakeLists.txt", "target_link_libraries(x stage2_runner)\n"),
    ("stages_apart", "stage2_cached_locals/runner.cpp", "// Stage 3 does this without crossing.\n"),
    ("stages_apart", "fallback_switch/CMakeLists.txt", "target_link_libraries(asioserve stage3_runner)\n"),
    ("reference_counts", "common/app/x.cpp", "    Py_INCREF(object);\n"),
    ("reference_counts", "stage3_native_loop/x.cpp", "    return Py_NewRef(object);\n"),
    ("reference_counts", "common/app/x.cpp", "    Py_CLEAR(object);\n"),
    ("size", "common/app/x.cpp", "\n" * 601),
    ("size", "tests/common/x.cpp", "\n" * 801),
    ("header_form", "common/app/x.hpp", "// What for.\nint x;\n"),
    ("header_form", "common/app/x.hpp", "#pragma once\n"),
    ("small_mains", "stage1_cross_thread/main.cpp", "\n" * 31),
    ("machine_paths", "README.md", "see /ro" + "ot/.cache\n"),
    ("machine_paths", "README.md", "see /ho" + "me/ada/README.md\n"),
    ("no_sleeping", "tests/common/x.cpp", "std::this_thread::sleep_for(1s);\n"),
    ("no_skips", "tests/common/x.cpp", "GTEST_" + "SKIP();\n"),
    ("no_skips", "tests/python/test_x.py", "@pytest.mark." + "skip\n"),
]


@pytest.mark.parametrize(
    ("rule", "name", "text"), VIOLATIONS, ids=lambda v: v if len(str(v)) < 40 else "text"
)
def test_a_rule_finds_what_breaks_it(rule: str, name: str, text: str) -> None:
    by_name = {r.__name__: r for r in RULES}
    assert list(by_name[rule](name, text))


def test_each_rule_is_shown_to_find_something() -> None:
    assert {rule for rule, _, _ in VIOLATIONS} == {rule.__name__ for rule in RULES}


def test_includes_of_ours_start_at_the_root_and_exist() -> None:
    wrong = [
        f"{name} includes {path}"
        for name in files()
        if name.endswith((".hpp", ".cpp"))
        for delimiter, path in includes(text_of(name))
        if delimiter == '"' and not (ROOT / path).is_file()
    ]
    assert not wrong, "\n".join(wrong)


def test_files_do_not_grow_towards_the_limit() -> None:
    """Warns only: the limit itself is a rule."""
    for warning in filter(None, (size_warning(name, text_of(name)) for name in files())):
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            warnings.warn(warning, stacklevel=1)


def test_continuous_integration_runs_the_tests_and_nothing_else() -> None:
    lines = [line for line in text_of(".ci/run").splitlines() if line and not line.startswith("#")]
    assert lines == ['cd "$(dirname "$0")/.." && exec ./test.sh']


@pytest.mark.parametrize("script", ["test.sh", "serve.sh", "bench.sh", "scripts/setup.sh", ".ci/run"])
def test_scripts_can_be_run(script: str) -> None:
    path = ROOT / script
    assert path.stat().st_mode & 0o111
    assert text_of(script).startswith("#!/usr/bin/env bash\n")
