import pytest

from bench.harness import counters, strace

PAGE = """# HELP asioserve_requests_total Requests.
# TYPE asioserve_requests_total counter
asioserve_requests_total 1000
asioserve_gil_acquisitions_total 10
asioserve_sends_total{kind="a"} 5
asioserve_sends_total{kind="b"} 6
asioserve_uptime_seconds 3.5
"""


def test_knows_the_counters_of_the_metrics_page() -> None:
    assert counters.parse(PAGE) == {"requests": 1000, "gil_acquisitions": 10, "sends": 11}


def test_counters_are_divided_by_the_requests_of_the_load() -> None:
    per_request = counters.per_request({"tasks": 10, "requests": 5}, {"tasks": 110, "requests": 55}, 50)
    assert per_request == {"tasks": 2}


def test_a_counter_that_only_one_page_has_is_left_out() -> None:
    assert counters.per_request({}, {"tasks": 5}, 5) == {}


def test_the_table_of_strace_is_read_without_its_total() -> None:
    table = "    calls syscall\n--------- ----------------\n     1234 sendto\n        7 epoll_wait\n--------- ------\n     1241 total\n"
    assert strace.parse(table) == {"sendto": 1234, "epoll_wait": 7}


@pytest.mark.usefixtures("programs_on_path")
def test_where_tracing_is_not_allowed_there_are_no_system_calls() -> None:
    assert strace.count([1], lambda: 1) is None
