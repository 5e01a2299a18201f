"""What the pages say is there, and every public name has a word."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pages import (
    anchors,
    blocks,
    commands,
    inline_flags,
    lessons,
    links,
    markers,
    pages,
    prose,
    slug,
    snippets,
)
from rules import ROOT, files, text_of

pytestmark = pytest.mark.timeout(300)

#: Programs that are not ours; what their flags mean is not for this test.
FOREIGN = {"apt-get", "cmake", "ctest", "curl", "doxygen", "kill", "pip"}
SERVERS = {"asioserve", "stage1_server", "stage2_server", "stage3_server"}


# --- Doxygen -----------------------------------------------------------------------------------------------------


def doxygen(output: Path, *inputs: str) -> subprocess.CompletedProcess[str]:
    settings = text_of("docs/Doxyfile") + f'\nOUTPUT_DIRECTORY = "{output}"\n'
    if inputs:
        settings += f"INPUT = {' '.join(inputs)}\nUSE_MDFILE_AS_MAINPAGE =\n"
    return subprocess.run(
        ["doxygen", "-"], input=settings, cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_every_public_name_has_a_word_and_every_reference_resolves(tmp_path: Path) -> None:
    done = doxygen(tmp_path)
    assert done.returncode == 0, "\n".join(sorted(set(done.stderr.splitlines())))[-8000:]
    assert (tmp_path / "html" / "index.html").is_file()


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        (
            "silent.hpp",
            "// What for.\n#pragma once\n\nclass A {\n  public:\n    int said = 0;\n};\n",
            "said",
        ),
        (
            "two.hpp",
            "// What for.\n#pragma once\n\nclass A {\n  public:\n    int a = 0;  ///< Said.\n};\n\n"
            "class B {\n  public:\n    int b = 0;  ///< Said.\n};\n",
            "Compound A",
        ),
        ("lost.md", "# A page\n\n\\snippet stage1_cross_thread/runner.cpp 9.9-lost\n", "9.9-lost"),
    ],
)
def test_doxygen_fails_for(name: str, text: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    done = doxygen(tmp_path / "out", str(tmp_path / name))
    assert done.returncode != 0
    assert complaint in done.stderr


def test_doxygen_sees_each_header_line_by_line() -> None:
    """So that its complaints point to the right place."""
    for name in files():
        if name.endswith(".hpp") and not name.startswith(("tests/", "bench/")):
            done = subprocess.run(
                [sys.executable, "docs/doxygen_filter.py", name],
                cwd=ROOT,
                check=True,
                capture_output=True,
                text=True,
            )
            assert done.stdout.count("\n") == text_of(name).count("\n"), name
            break


# --- quoted code -------------------------------------------------------------------------------------------------


def test_each_marker_occurs_twice_and_is_quoted() -> None:
    assert {where: n for where, n in markers().items() if n != 2} == {}
    assert set(markers()) == {(s.file, s.marker) for s in snippets()}


def test_each_lesson_quotes_the_code_that_bears_its_number() -> None:
    assert lessons()
    for page in lessons():
        number = Path(page).name.split("-")[0]
        assert [s for s in snippets() if s.page == page and s.marker.startswith(number + "-")], page


def test_lessons_quote_code_by_reference_only() -> None:
    assert [page for page in lessons() if blocks(page, "cpp") or blocks(page, "c")] == []


def test_lessons_follow_the_template_and_lead_on_to_each_other() -> None:
    parts = ["Invariants", "Predict", "Walk-through", "Checkpoint", "Measure", "Exercise"]
    for before, page in zip(["", *lessons()], lessons(), strict=False):
        text = text_of(page)
        assert re.findall(r"^## (.+)$", text, re.M) == parts, page
        assert "**Goal.**" in text, page
        if before:
            assert f"]({Path(before).name})" in text, f"{page} has no way back"
            assert f"]({Path(page).name})" in text_of(before), f"{before} does not lead on"


def test_the_diffs_of_the_stages_are_fresh(tmp_path: Path) -> None:
    subprocess.run([ROOT / "scripts" / "stage_diffs.sh", tmp_path], check=True)
    for name in ("1-2.diff", "2-3.diff"):
        assert (tmp_path / name).read_text() == text_of(f"docs/diffs/{name}"), (
            f"docs/diffs/{name} is old: run scripts/stage_diffs.sh"
        )


# --- links -------------------------------------------------------------------------------------------------------


def test_links_lead_somewhere() -> None:
    broken = []
    for page, target, anchor in links():
        path = ROOT / target
        if not path.exists():
            broken.append(f"{page}: {target} is not there")
        elif anchor and anchor not in anchors(target):
            broken.append(f"{page}: {target} has no heading #{anchor}")
    assert not broken, "\n".join(broken)
    assert len(links()) > 100


def test_anchors_are_made_as_hosts_make_them() -> None:
    assert slug("`def` or `async def`?") == "def-or-async-def"
    assert slug("Pattern → file") == "pattern--file"


def test_every_page_is_reached_from_the_readme() -> None:
    reached = {"README.md"}
    while more := {target for page, target, _ in links() if page in reached} - reached:
        reached |= more
    assert [page for page in pages() if page not in reached] == []


# --- commands and flags ------------------------------------------------------------------------------------------


def server_flags() -> set[str]:
    """Of the servers and the switch, from the declarations."""
    sources = [
        text_of(name)
        for name in files()
        if (name.startswith("common/options/") and name.endswith(".cpp"))
        or name == "fallback_switch/command.cpp"
    ]
    flags = {"--help"} | {flag for text in sources for flag in re.findall(r'"(?:-h,)?(--[a-z][a-z-]+)', text)}
    for name in re.findall(r'yes_no\(app, "([a-z-]+)"', "\n".join(sources)):
        flags |= {f"--{name}", f"--no-{name}"}
    return flags


def hidden(flag: str) -> bool:
    return flag.startswith("--fault") or flag == "--supervisor-fd"


def script_flags(script: str) -> set[str]:
    return set(re.findall(r"--[a-z][a-z-]+", text_of(script)))


def flags_of(words: list[str]) -> list[str]:
    return [word.split("=")[0] for word in words if re.match(r"--[a-z]", word)]


def test_the_flags_are_read_from_the_code() -> None:
    assert {
        "--host",
        "--fallback",
        "--no-access-log",
        "--timeout-keep-alive",
        "--to",
    } <= server_flags()


def test_commands_exist_and_know_their_flags() -> None:
    wrong = []
    for page, words in commands():
        program = words[0]
        if program in FOREIGN:
            continue
        if program in SERVERS:
            known = server_flags()
        elif program == "./bench.sh":
            continue  # below, by its own parser
        elif program.startswith("./") and os.access(ROOT / program, os.X_OK):
            known = script_flags(program[2:]) | (server_flags() if program == "./serve.sh" else set())
        else:
            wrong.append(f"{page}: there is no {program}")
            continue
        wrong += [f"{page}: {program} has no {flag}" for flag in flags_of(words) if flag not in known]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("line", sorted({" ".join(w[1:]) for _, w in commands() if w[0] == "./bench.sh"}))
def test_the_bench_takes(line: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench.harness", "--only-check", *line.split()],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_flags_in_running_text_exist() -> None:
    known = server_flags() | script_flags("test.sh") | script_flags("serve.sh")
    known |= set(re.findall(r'"(--[a-z-]+)"', text_of("bench/harness/cli.py")))
    assert [f"{page}: {flag}" for page, flag in inline_flags() if flag not in known] == []


def test_the_guide_for_operators_names_every_flag() -> None:
    said = set(re.findall(r"--[a-z][a-z-]+", text_of("docs/guides/operators.md")))
    wanted = {flag for flag in server_flags() if not hidden(flag) and not flag.startswith("--no-")}
    assert wanted - said - {"--help", "--version"} == set()


def test_each_lesson_labels_its_tests_and_its_checkpoint_runs_them() -> None:
    tests = {
        name
        for file in files()
        if file.startswith("tests/contract/")
        for name in re.findall(r"^TEST_F\(RunnerContract, *(\w+)\)", text_of(file), re.M)
    }
    labelled = {}
    for file in files():
        for lesson, names in re.findall(r"^asioserve_lesson\((\d\.\d)\s+([^)]*)\)", text_of(file), re.M):
            assert file.startswith(f"stage{lesson[0]}_"), f"{file}: lesson {lesson} is another stage's"
            labelled[lesson] = names.split()
    asked = {
        page: words[words.index("-L") + 1]
        for page, words in commands()
        if words[0] == "ctest" and page in lessons()
    }
    assert asked == {page: f"lesson{page.split('/')[-1][:3]}" for page in lessons()}
    assert sorted(asked.values()) == sorted(f"lesson{lesson}" for lesson in labelled)
    assert [name for names in labelled.values() for name in names if name not in tests] == []


def test_counters_and_ablations_that_pages_name_exist() -> None:
    code = "".join(text_of(name) for name in files() if name.endswith(".cpp"))
    named = {
        name for page in pages() for name in re.findall(r"\b(?:no|eager)-[a-z]+-?[a-z]*\b(?=`)", prose(page))
    }
    assert "no-pooled-task" in named
    assert [name for name in named if f'"{name}"' not in code] == []


# --- what is said in numbers, and in Python ----------------------------------------------------------------------


def test_figures_of_speed_are_generated_not_typed() -> None:
    figure = re.compile(r"\d\s?(?:µs|us|ns|rps|req/s|requests/s|RPS)\b")
    assert [f"{page}: {found[0]}" for page in pages() for found in figure.finditer(prose(page))] == []


def test_the_readme_has_a_place_for_the_bench_table() -> None:
    text = text_of("README.md")
    source = text_of("bench/report/markdown.py")
    for name in ("BEGIN", "END"):
        line = re.search(rf'^{name} = "(.*)"$', source, re.M)
        assert line and text.count(line[1]) == 1


@pytest.mark.parametrize("page", [page for page in pages() if blocks(page, "python")])
def test_examples_in_pages_are_python(page: str) -> None:
    for block in blocks(page, "python"):
        if "app = App()" in block:
            exec(compile(block, page, "exec"), {"__name__": "quoted"})
        else:
            # Lines of a handler's body: they may await and return.
            ast.parse(
                "async def handler(pool, id):\n" + "\n".join("    " + line for line in block.splitlines())
            )
