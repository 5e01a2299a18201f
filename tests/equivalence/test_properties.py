"""Generated requests, valid and broken, cut at any byte: what comes back depends on the bytes only."""

import json
from typing import Any

from blackbox.client import Client, compose, exchange, without_date
from blackbox.server import KINDS, SLOWNESS, Pool
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

LIMITS = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)

TOKEN = st.text("abcdefghijklmnopqrstuvwxyzABCXYZ0123456789!#$%&'*+-.^_`|~", min_size=1, max_size=12)
VALUE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=30)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


def all_the_same(pool: Pool, data: bytes, splits: tuple[int, ...] = ()) -> bytes:
    got = {kind: without_date(exchange(pool.get(kind).address, data, splits)) for kind in KINDS}
    assert len(set(got.values())) == 1, (data, got)
    return got["stage3"]


def cuts(data: st.DataObject, size: int) -> tuple[int, ...]:
    return tuple(data.draw(st.lists(st.integers(1, max(1, size - 1)), max_size=8), label="cut at"))


@st.composite
def headers(draw: st.DrawFn) -> list[tuple[str, str]]:
    found = draw(st.lists(st.tuples(TOKEN, VALUE), max_size=8))
    special = {
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "expect",
        "upgrade",
        "te",
        "content-type",
    }
    return [("x-" + name, value) for name, value in found if name.lower() not in special]


@LIMITS
@given(fields=headers(), body=st.binary(max_size=2000), data=st.data())
def test_a_valid_request_is_understood_however_it_is_cut(
    pool: Pool, fields: list[tuple[str, str]], body: bytes, data: st.DataObject
) -> None:
    sent = compose("POST", "/request/x", headers=fields, body=body)
    answer = all_the_same(pool, sent, cuts(data, len(sent)))
    head, _, text = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), answer
    got = json.loads(text)
    assert got["length"] == len(body)
    assert got["headers"] == [[n.lower(), v.strip(" \t")] for n, v in fields] + [
        ["content-length", str(len(body))]
    ]


@LIMITS
@given(chunks=st.lists(st.binary(min_size=1, max_size=300), max_size=8), upper=st.booleans(), data=st.data())
def test_a_chunked_body_comes_back_however_it_is_cut(
    pool: Pool, chunks: list[bytes], upper: bool, data: st.DataObject
) -> None:
    size = "%X" if upper else "%x"
    wire = b"".join((size % len(c)).encode() + b"\r\n" + c + b"\r\n" for c in chunks) + b"0\r\n\r\n"
    path = data.draw(st.sampled_from(["/body/raw", "/request/x"]))
    sent = compose("POST", path, headers={"Transfer-Encoding": "chunked"}, body=wire)
    answer = all_the_same(pool, sent, cuts(data, len(sent)))
    if path == "/body/raw":
        assert answer.partition(b"\r\n\r\n")[2] == b"".join(chunks)


@LIMITS
@given(value=st.dictionaries(st.text(), JSON, max_size=4), data=st.data())
def test_json_comes_back_as_it_went(pool: Pool, value: dict[str, Any], data: st.DataObject) -> None:
    sent = compose("POST", "/body/dict", json=value)
    answer = all_the_same(pool, sent, cuts(data, len(sent)))
    assert json.loads(answer.partition(b"\r\n\r\n")[2]) == {"got": value}


@LIMITS
@given(text=st.text(max_size=20))
def test_an_int_is_read_as_pydantic_reads_it(pool: Pool, text: str) -> None:
    """The native conversion against the library that it stands for."""
    from urllib.parse import quote

    from pydantic import TypeAdapter, ValidationError

    answer = all_the_same(pool, compose("GET", "/query?q=x&n=" + quote(text, safe="")))
    body = json.loads(answer.partition(b"\r\n\r\n")[2])
    try:
        expected = TypeAdapter(int).validate_python(text)
    except ValidationError as error:
        assert [(e["type"], e["msg"]) for e in body["detail"]] == [
            (e["type"], e["msg"]) for e in error.errors()
        ]
    else:
        assert body["n"] == expected


@LIMITS
@given(text=st.one_of(st.text("0123456789._+- eEinfaNxX", max_size=12), st.text(max_size=10)))
def test_numbers_are_read_as_pydantic_reads_them(pool: Pool, text: str) -> None:
    import math
    from urllib.parse import quote

    from pydantic import TypeAdapter, ValidationError

    answer = all_the_same(
        pool, compose("GET", f"/query?q=x&n={quote(text, safe='')}&ratio={quote(text, safe='')}")
    )
    body = json.loads(answer.partition(b"\r\n\r\n")[2])
    expected: dict[str, Any] = {}
    wrong = []
    for name, kind in (("n", int), ("ratio", float)):
        try:
            expected[name] = TypeAdapter(kind).validate_python(text)
        except ValidationError as error:
            wrong += [(e["type"], ["query", name]) for e in error.errors()]
    if wrong:
        assert [(e["type"], e["loc"]) for e in body["detail"]] == wrong
    else:
        assert body["n"] == expected["n"]
        ratio = expected["ratio"]
        assert body["ratio"] == (ratio if math.isfinite(ratio) else None)


@LIMITS
@given(
    requests=st.lists(
        st.sampled_from(
            [
                "/hello",
                "/sync",
                "/items/5",
                "/items/x",
                "/wait-for/sleep/2",
                "/nothing",
                "/results/no-content",
            ]
        ),
        min_size=1,
        max_size=12,
    ),
    data=st.data(),
)
def test_a_pipeline_is_answered_in_order_however_it_is_cut(
    pool: Pool, requests: list[str], data: st.DataObject
) -> None:
    sent = b"".join(compose("GET", path) for path in requests)
    answer = all_the_same(pool, sent, cuts(data, len(sent)))
    assert answer.count(b"HTTP/1.1 ") == len(requests)


@settings(LIMITS, max_examples=150)
@given(
    base=st.sampled_from(
        [
            compose("GET", "/hello"),
            compose("POST", "/body/raw", body=b"hello"),
            compose(
                "POST", "/body/raw", headers={"Transfer-Encoding": "chunked"}, body=b"5\r\nhello\r\n0\r\n\r\n"
            ),
            compose(
                "POST",
                "/upload/count",
                headers={"Transfer-Encoding": "chunked"},
                body=b"2;x=y\r\nhe\r\n0\r\nA: b\r\n\r\n",
            ),
            compose("GET", "/items/1", headers={"Connection": "keep-alive", "Expect": "100-continue"}),
        ]
    ),
    data=st.data(),
)
def test_a_damaged_request_gives_the_same_from_all_and_hangs_nobody(
    pool: Pool, base: bytes, data: st.DataObject
) -> None:
    """Bytes changed, put in, taken out, doubled, anywhere; the answer is one of HTTP's, and the connection ends."""
    sent = bytearray(base * data.draw(st.integers(1, 2), label="times"))
    for _ in range(data.draw(st.integers(1, 4), label="changes")):
        at = data.draw(st.integers(0, len(sent) - 1), label="at")
        match data.draw(st.sampled_from(["set", "insert", "delete", "double"]), label="how"):
            case "set":
                sent[at] = data.draw(
                    st.sampled_from(list(b"\0\t\n\r :,;/=0159azAZ\x7f\x80\xff")), label="byte"
                )
            case "insert":
                sent[at:at] = data.draw(
                    st.sampled_from([b"\r", b"\n", b"\r\n", b" ", b":", b"\0", b"0", b"x"]), label="bytes"
                )
            case "delete":
                del sent[at : at + data.draw(st.integers(1, 3), label="many")]
            case _:
                sent[at:at] = sent[at : at + data.draw(st.integers(1, 20), label="many")]
        if not sent:
            sent = bytearray(b"\r")
    answer = all_the_same(pool, bytes(sent), cuts(data, len(sent)))
    assert answer == b"" or answer.startswith(b"HTTP/1.1 "), answer


@LIMITS
@given(sent=st.binary(max_size=300), data=st.data())
def test_rubbish_gives_the_same_from_all(pool: Pool, sent: bytes, data: st.DataObject) -> None:
    answer = all_the_same(pool, sent, cuts(data, len(sent)))
    assert answer == b"" or answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 501")), answer


def test_every_cut_of_one_request(pool: Pool) -> None:
    """Not generated: each of the places, in turn."""
    sent = compose(
        "POST",
        "/body/raw",
        headers={"X-Y": "z", "Transfer-Encoding": "chunked"},
        body=b"3;a=b\r\nabc\r\n0\r\nT: u\r\n\r\n",
    )
    for kind in KINDS:
        with Client(pool.get(kind).address) as client:
            client.socket.settimeout(10 * SLOWNESS)
            for at in range(1, len(sent)):
                client.send(sent[:at])
                client.send(sent[at:])
                assert client.read().body == b"abc"
