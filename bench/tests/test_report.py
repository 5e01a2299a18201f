from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench.harness.errors import BenchError
from bench.report import figures, html, markdown, svg, text
from bench.tests.samples import a_full_result, a_result, a_round, a_row


def test_the_terminals_table_has_every_row_and_the_refused_ones_reason() -> None:
    page = text.render(a_full_result())
    assert "stage 3 without the pooled task" in page
    assert "REFUSED: wrk saw 3 answers of status 400 or above" in page
    assert "+1.00 (+1.00 … +1.00)" in page
    assert "0.80" in page


def test_a_stage_says_how_it_compares_with_the_one_before() -> None:
    page = text.render(a_full_result())
    assert "Stage 3 against stage 2:" in page
    assert "5.4 instead of 10.4 µs of CPU each (-48%)" in page


def test_marks_are_explained_where_they_occur() -> None:
    page = text.render(a_full_result())
    assert "* the load's core was over 90 % busy" in page
    assert "other programs" not in page


def test_the_report_is_one_file_that_loads_nothing() -> None:
    page = html.render(a_full_result())
    for word in ("<script", "src=", "href=", "url(", "@import"):
        assert word not in page
    assert "A &lt;CPU&gt;" in page
    for title in (
        "In short",
        "Handlers",
        "Pipelined",
        "Connections",
        "What each part is worth",
        "System calls",
    ):
        assert title in page, title


def test_every_plot_of_the_report_is_well_formed() -> None:
    page = html.render(a_full_result())
    plots = [part.split("</svg>")[0] + "</svg>" for part in page.split("<svg")[1:]]
    assert len(plots) >= 8
    for plot in plots:
        ElementTree.fromstring("<svg" + plot)
        assert "nan" not in plot


def test_a_report_of_refused_rows_alone_can_be_made() -> None:
    result = a_full_result()
    for row in result.rows:
        row.refused = "no"
    result.idle.clear()
    assert "refused" in html.render(result)
    assert "REFUSED" in text.render(result)
    assert "bench.sh" in markdown.render(result)


def test_the_readmes_table_is_put_between_its_markers() -> None:
    page = f"# T\n{markdown.BEGIN}\nold\n{markdown.END}\nrest\n"
    new = markdown.replaced(page, markdown.render(a_full_result()))
    assert new.startswith(f"# T\n{markdown.BEGIN}\n") and new.endswith(f"{markdown.END}\nrest\n")
    assert "old" not in new and "| **stage 3** |" in new
    assert markdown.replaced(new, markdown.render(a_full_result())) == new


@pytest.mark.parametrize(
    "page", ["", markdown.BEGIN, markdown.END + markdown.BEGIN, 2 * (markdown.BEGIN + markdown.END)]
)
def test_a_page_without_its_markers_is_left_alone(page: str) -> None:
    with pytest.raises(BenchError):
        markdown.replaced(page, "table")


def test_the_readme_can_be_checked_against_the_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result, page = tmp_path / "r.json", tmp_path / "README.md"
    a_full_result().save(result)
    page.write_text(f"{markdown.BEGIN}\n{markdown.END}\n")
    arguments = ["markdown", str(result), str(page)]
    monkeypatch.setattr("sys.argv", [*arguments, "--check"])
    assert markdown.main() == 1
    monkeypatch.setattr("sys.argv", arguments)
    assert markdown.main() == 0
    monkeypatch.setattr("sys.argv", [*arguments, "--check"])
    assert markdown.main() == 0


@pytest.mark.parametrize(("top", "last"), [(10.0, 10.0), (0.9, 0.8), (123.0, 100.0), (7e4, 6e4)])
def test_ticks_are_round_and_do_not_leave_the_plot(top: float, last: float) -> None:
    marks = svg.ticks(top)
    assert marks[0] == 0 and marks[-1] == pytest.approx(last) and 3 <= len(marks) <= 7


@pytest.mark.parametrize(
    ("value", "words"), [(None, "–"), (12.4, "12 µs"), (1234.0, "1.2 ms"), (23456.0, "23 ms")]
)
def test_times_have_a_unit_that_suits_them(value: float | None, words: str) -> None:
    assert figures.micros(value) == words


def test_the_first_stage_is_compared_with_the_floor_and_only_like_rates_are() -> None:
    floor = a_row("floor", [], rounds=[a_round(n, 4.0, wrk_rate=None) for n in range(9)])
    page = text.render(a_result([floor, a_row("stage1", [20.0] * 9)], target="stage1"))
    assert "Stage 1 against floor:" in page
    assert "async def that never waits: 20.0 instead of 4.0 µs of CPU each (+400%)" in page
