from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench.harness.errors import BenchError
from bench.loop import result as loop_result
from bench.loop.result import LoopRow, standing, summarise
from bench.loop.rows import WORKLOADS
from bench.report import html, loop_figures, loop_html, loop_markdown, loop_text, markdown
from bench.tests.conftest import ROOT
from bench.tests.loop_samples import a_loop_result, rounds
from bench.tests.samples import a_result

GUIDES = ROOT / "docs" / "guides"


def test_ratios_are_of_rounds_that_both_have() -> None:
    result = a_loop_result()
    row = LoopRow("call_soon", "asioloop", rounds(2.0, 4.0, 9.0))
    control = LoopRow("call_soon", "asyncio", rounds(1.0, 2.0))
    ratio = loop_result.compare(row, control)
    assert ratio is not None and ratio.median == 2.0 and ratio.interval is None
    summary = summarise(result, result.of("call_soon")[1], ("asyncio", "uvloop"))
    assert summary is not None
    assert summary.ratios["uvloop"].median == pytest.approx(2.0)
    assert summary.ratios["uvloop"].interval is not None
    assert set(summary.ratios) == {"asyncio", "uvloop"}


def test_rows_without_figures_have_no_summary() -> None:
    result = a_loop_result()
    assert summarise(result, result.of("call_soon")[3], ()) is None
    assert summarise(result, result.of("tcp_1k_protocol")[3], ()) is None


def test_ours_is_the_first_where_nobody_is_faster() -> None:
    measured, lost = standing(a_loop_result())
    assert measured == 4
    assert [(one.workload, one.winner) for one in lost] == [("tcp_1k_protocol", "uvloop")]
    assert lost[0].ratio.median == pytest.approx(1.5 / 1.8) and not lost[0].may_be_chance


def test_a_lead_that_changes_hands_may_be_chance() -> None:
    result = a_loop_result()
    result.rows = [
        LoopRow("call_soon", "asioloop", rounds(1, 1, 1, 1, 1, 1, 1)),
        LoopRow("call_soon", "uvloop", rounds(0.9, 1.1, 0.9, 1.1, 0.9, 1.1, 1.1)),
    ]
    (lost,) = standing(result)[1]
    assert lost.may_be_chance
    assert "which may be chance" in "\n".join(loop_figures.conclusions(result))


@pytest.mark.parametrize(
    ("value", "row", "words"),
    [
        (2_345_678.0, "call_soon", "2.35 M/s"),
        (999_400.0, "call_soon", "999 k/s"),
        (12.0, "spawn", "12 /s"),
        (0.5, "spawn", "0.5 /s"),
        (2.5 * 1024**3, "bulk_in", "2.5 GiB/s"),
        (1010.0 * 1024**2, "bulk_in", "1010 MiB/s"),
    ],
)
def test_rates_have_three_digits_that_matter(value: float, row: str, words: str) -> None:
    assert loop_figures.rate(value, WORKLOADS[row]) == words


def test_the_terminals_table_has_every_loop_and_why_some_have_no_figures() -> None:
    page = loop_text.render(a_loop_result())
    assert "4.12 M/s" in page and "4.00 (4.00 … 4.00)" in page
    assert "rloop: not supported: NotImplementedError: no <such> thing" in page
    assert "rloop: REFUSED: an answer has wrong bytes" in page
    assert "185 k/s*" in page and "* the load's core was over 90 % busy" in page
    assert "asioloop is the first on 3 of 4 rows." in page
    assert "note: zloop is not there" in page


def test_the_report_is_one_file_with_a_plot_for_each_workload() -> None:
    page = loop_html.render(a_loop_result())
    for word in ("<script", "src=", "href=", "url(", "@import", "<such>"):
        assert word not in page
    plots = [part.split("</svg>")[0] + "</svg>" for part in page.split("<svg")[1:]]
    assert len(plots) == 4
    for plot in plots:
        ElementTree.fromstring("<svg" + plot)
        assert "nan" not in plot
    assert '<td class="best">4.12 M/s</td>' in page


def test_the_markdown_has_the_first_of_each_row_in_bold() -> None:
    page = loop_markdown.render(a_loop_result())
    assert "| call_soon | 1.03 M/s | **4.12 M/s** | 2.06 M/s | not supported (NotImplementedError) |" in page
    assert "**185 k/s\\***" in page and "REFUSED" in page
    assert "System calls per operation" in page and "KiB per idle connection" in page and "1.25" in page
    assert "uvloop 0.23.0" in page


def test_pages_are_made_of_the_file_of_either_bench(tmp_path: Path) -> None:
    loops, servers = tmp_path / "loop.json", tmp_path / "stage.json"
    a_loop_result().save(loops)
    a_result([]).save(servers)
    assert loop_result.load(loops) == a_loop_result()
    assert markdown.render_file(loops) == loop_markdown.render(a_loop_result())
    assert html.render_file(loops) == loop_html.render(a_loop_result())
    assert "stage3" in markdown.render_file(servers) and "stage3" in html.render_file(servers)
    with pytest.raises(BenchError, match="not a result"):
        loop_result.load(servers)


@pytest.mark.parametrize(("page", "result"), [("loop-speed", "loop"), ("loop-speed-3.13", "loop-3.13")])
def test_a_guide_has_the_table_of_the_committed_result_or_says_that_there_is_none(
    page: str, result: str
) -> None:
    committed = ROOT / "bench" / "results" / f"{result}.json"
    source = committed if committed.exists() else Path(markdown.NONE)
    text = (GUIDES / f"{page}.md").read_text()
    assert markdown.replaced(text, markdown.render_file(source)) == text
