import pytest

from bench.harness import wrk
from bench.harness.errors import BenchError, RefusedError
from bench.harness.handlers import HANDLERS, Request

GOOD = """Running 1s test @ http://127.0.0.1:8000/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   366.01us  106.44us   5.19ms   95.04%
    Req/Sec   172.06k     6.31k  179.96k    72.73%
  Latency Distribution
     50%  353.00us
     75%  385.00us
     90%  424.00us
     99%    1.20ms
  188000 requests in 1.10s, 27.55MB read
Requests/sec: 170909.09
Transfer/sec:     25.04MB
"""


def test_reads_rate_and_latencies() -> None:
    figures = wrk.parse(GOOD, load_busy=0.5)
    assert figures.requests == 188000
    assert figures.requests_per_second == pytest.approx(170909.09)
    assert (figures.p50_us, figures.p99_us, figures.load_busy) == (353.0, 1200.0, 0.5)


def test_a_latency_of_nothing_is_no_latency() -> None:
    figures = wrk.parse(GOOD.replace("1.20ms", "0.00us"))
    assert (figures.p50_us, figures.p99_us) == (353.0, None)


def test_runs_of_minutes_and_hours_are_understood() -> None:
    figures = wrk.parse(GOOD.replace("in 1.10s", "in 1.50m").replace("1.20ms", "2.50s"))
    assert figures.seconds == 90
    assert figures.p99_us == 2_500_000


def test_refuses_answers_that_were_not_good() -> None:
    with pytest.raises(RefusedError, match="12 answers"):
        wrk.parse(GOOD + "  Non-2xx or 3xx responses: 12\n")


@pytest.mark.parametrize("place", range(4))
def test_refuses_every_kind_of_socket_error(place: int) -> None:
    counts = ["0"] * 4
    counts[place] = "3"
    text = "  Socket errors: connect {}, read {}, write {}, timeout {}\n".format(*counts)
    with pytest.raises(RefusedError, match=r"socket errors: 3 (connect|read|write|timeout)$"):
        wrk.parse(GOOD + text)


def test_refuses_a_run_without_answers() -> None:
    with pytest.raises(RefusedError, match="no answer"):
        wrk.parse(GOOD.replace("188000 requests", "0 requests"))


@pytest.mark.parametrize("text", ["", "unable to connect", GOOD.replace("     99%    1.20ms\n", "")])
def test_output_that_is_not_understood_is_an_error(text: str) -> None:
    with pytest.raises(BenchError):
        wrk.parse(text)


def test_a_plain_get_needs_no_script() -> None:
    assert wrk.script(list(HANDLERS["async"].requests), 1) is None


def test_a_script_has_every_request_as_often_as_it_is_deep() -> None:
    text = wrk.script([Request("/a"), Request("/b", "POST", {"X-Y": 'q"'}, "{\n}")], 16)
    assert text is not None
    assert 'wrk.format("GET", "/a", {}, nil)' in text
    assert r'wrk.format("POST", "/b", {["X-Y"] = "q\""}, "{\n}")' in text
    assert "string.rep(one, 16)" in text


def test_wrk_gets_whole_seconds_and_one_thread() -> None:
    line = wrk.command("http://127.0.0.1:1/async", 64, 0.4, None)
    assert "-d1s" in line and "-t1" in line and "-c64" in line and "--latency" in line
