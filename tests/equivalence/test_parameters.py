"""Parameters from the signature: conversions, defaults, and FastAPI's 422 to the letter."""

from typing import Any

import pytest
from blackbox.client import Client


def error(kind: str, loc: list[Any], msg: str, given: Any, **ctx: Any) -> dict[str, Any]:
    made = {"type": kind, "loc": loc, "msg": msg, "input": given}
    return {**made, "ctx": ctx} if ctx else made


INT = "Input should be a valid integer, unable to parse string as an integer"
FLOAT = "Input should be a valid number, unable to parse string as a number"
BOOL = "Input should be a valid boolean, unable to interpret input"


def refused(client: Client, path: str, *errors: dict[str, Any], **more: Any) -> None:
    answer = client.request(more.pop("method", "GET"), path, **more)
    assert (answer.status, answer.json()) == (422, {"detail": list(errors)})
    assert answer.header("content-type") == "application/json"


class TestPath:
    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("0", 0),
            ("-5", -5),
            ("%2B5", 5),
            ("007", 7),
            ("1_000", 1000),
            ("%205%20", 5),
            ("5.0", 5),
            ("9" * 18, int("9" * 18)),
        ],
    )
    def test_what_is_an_int(self, client: Client, text: str, value: int) -> None:
        assert client.get(f"/items/{text}").json() == {"id": value}

    @pytest.mark.parametrize("path", ["items", "sync-items"])
    @pytest.mark.parametrize("text", ["x", "1.5", "1e3", "0x10", "--5", "5-", "é"])
    def test_what_is_none(self, client: Client, path: str, text: str) -> None:
        from urllib.parse import quote

        refused(client, f"/{path}/{quote(text)}", error("int_parsing", ["path", "item_id"], INT, text))

    def test_an_enum(self, client: Client) -> None:
        refused(
            client,
            "/colours/green",
            error(
                "enum",
                ["path", "colour"],
                "Input should be 'red' or 'blue'",
                "green",
                expected="'red' or 'blue'",
            ),
        )


class TestQuery:
    DEFAULTS = {"q": "x", "n": 3, "ratio": 0.5, "flag": False, "maybe": None}

    @pytest.mark.parametrize(
        ("query", "changed"),
        [
            ("q=x", {}),
            ("q=a+b%2B", {"q": "a b+"}),
            ("q=%C3%A9", {"q": "é"}),
            ("q=", {"q": ""}),
            ("q=x&n=7", {"n": 7}),
            ("q=x&n=7&n=8", {"n": 8}),
            ("q=x&ratio=1e-3", {"ratio": 0.001}),
            ("q=x&ratio=2", {"ratio": 2.0}),
            ("q=x&maybe=m", {"maybe": "m"}),
            ("q=x&unknown=1", {}),
            ("q=a=b", {"q": "a=b"}),
            *((f"q=x&flag={text}", {"flag": True}) for text in ("true", "True", "1", "yes", "on", "y", "t")),
            *((f"q=x&flag={text}", {"flag": False}) for text in ("false", "0", "no", "off", "n", "f")),
        ],
    )
    def test_values(self, client: Client, query: str, changed: dict[str, Any]) -> None:
        assert client.get(f"/query?{query}").json() == self.DEFAULTS | changed

    def test_a_missing_one(self, client: Client) -> None:
        refused(client, "/query", error("missing", ["query", "q"], "Field required", None))

    def test_all_errors_at_once(self, client: Client) -> None:
        refused(
            client,
            "/query?n=x&ratio=y&flag=z",
            error("missing", ["query", "q"], "Field required", None),
            error("int_parsing", ["query", "n"], INT, "x"),
            error("float_parsing", ["query", "ratio"], FLOAT, "y"),
            error("bool_parsing", ["query", "flag"], BOOL, "z"),
        )

    def test_lists(self, client: Client) -> None:
        assert client.get("/query-list").json() == {"tag": [], "n": []}
        assert client.get("/query-list?tag=a&n=1&tag=b&n=2").json() == {"tag": ["a", "b"], "n": [1, 2]}

    def test_a_list_tells_which_item_is_wrong(self, client: Client) -> None:
        refused(client, "/query-list?n=1&n=x", error("int_parsing", ["query", "n", 1], INT, "x"))

    def test_limits_and_alias(self, client: Client) -> None:
        assert client.get("/query-limits?n=10&the-s=xyz").json() == {"n": 10, "s": "xyz"}
        refused(
            client,
            "/query-limits?n=11&the-s=x",
            error("less_than_equal", ["query", "n"], "Input should be less than or equal to 10", "11", le=10),
            error(
                "string_too_short",
                ["query", "the-s"],
                "String should have at least 2 characters",
                "x",
                min_length=2,
            ),
        )
        refused(
            client,
            "/query-limits?n=0",
            error(
                "greater_than_equal", ["query", "n"], "Input should be greater than or equal to 1", "0", ge=1
            ),
        )


class TestHeadersAndCookies:
    def test_headers(self, client: Client) -> None:
        got = client.get(
            "/headers", headers=[("User-Agent", "me"), ("X-Number", "5"), ("X-Many", "a"), ("x-many", "b")]
        )
        assert got.json() == {"user_agent": "me", "x_number": 5, "x_many": ["a", "b"]}
        assert client.get("/headers").json() == {"user_agent": None, "x_number": 1, "x_many": None}

    def test_a_wrong_header(self, client: Client) -> None:
        refused(
            client,
            "/headers",
            error("int_parsing", ["header", "x-number"], INT, "x"),
            headers={"X-Number": "x"},
        )

    def test_cookies(self, client: Client) -> None:
        assert client.get("/cookies", headers={"Cookie": 'session="a b"; n=4'}).json() == {
            "session": "a b",
            "n": 4,
        }
        assert client.get("/cookies").json() == {"session": None, "n": 0}

    def test_a_wrong_cookie(self, client: Client) -> None:
        refused(
            client, "/cookies", error("int_parsing", ["cookie", "n"], INT, "x"), headers={"Cookie": "n=x"}
        )


class TestBodies:
    def test_dict_list_dataclass_and_model(self, client: Client) -> None:
        assert client.request("POST", "/body/dict", json={"a": [1, None]}).json() == {"got": {"a": [1, None]}}
        assert client.request("POST", "/body/sync", json={"a": 1}).json() == {"got": {"a": 1}}
        assert client.request("POST", "/body/list", json=[1, 2, 3]).json() == {"sum": 6}
        assert client.request("POST", "/body/dataclass", json={"x": 1, "y": 2}).json() == {"x": 2, "y": 1}
        assert client.request("POST", "/body/pydantic", json={"name": "a"}).json() == {"name": "A", "age": 1}
        assert client.request("POST", "/body/two", json={"user": {"name": "a"}, "n": 5}).json() == {
            "name": "a",
            "n": 5,
        }
        assert client.request("POST", "/body/json", body=b'{"x": 1}').json() == {"json": {"x": 1}}

    def test_a_content_type_with_parameters(self, client: Client) -> None:
        headers = {"Content-Type": "application/json; charset=utf-8"}
        assert client.request("POST", "/body/dict", headers=headers, body=b"{}").json() == {"got": {}}

    def test_broken_json(self, client: Client) -> None:
        answer = client.request(
            "POST", "/body/dict", headers={"Content-Type": "application/json"}, body=b'{"a": }'
        )
        assert answer.status == 422
        (detail,) = answer.json()["detail"]
        assert detail["type"] == "json_invalid"
        assert detail["loc"][0] == "body"
        assert detail["msg"] == "JSON decode error"

    def test_no_body(self, client: Client) -> None:
        refused(client, "/body/dict", error("missing", ["body"], "Field required", None), method="POST")

    def test_another_kind_of_json(self, client: Client) -> None:
        refused(
            client,
            "/body/dict",
            error("dict_type", ["body"], "Input should be a valid dictionary", [1]),
            method="POST",
            json=[1],
        )

    def test_pydantics_own_errors(self, client: Client) -> None:
        refused(
            client,
            "/body/pydantic",
            error("missing", ["body", "name"], "Field required", {"age": "x"}),
            error("int_parsing", ["body", "age"], INT, "x"),
            method="POST",
            json={"age": "x"},
        )

    def test_a_dataclass_in_pydantics_shape(self, client: Client) -> None:
        answer = client.request("POST", "/body/dataclass", json={"y": "z"})
        assert answer.status == 422
        found = {tuple(e["loc"]): e["type"] for e in answer.json()["detail"]}
        assert found == {("body", "x"): "missing", ("body", "y"): "int_parsing"}

    def test_one_of_two_is_missing(self, client: Client) -> None:
        refused(
            client,
            "/body/two",
            error("missing", ["body", "n"], "Field required", None),
            method="POST",
            json={"user": {"name": "a"}},
        )


def test_the_request_object(client: Client) -> None:
    answer = client.request(
        "POST",
        "/request/a%20b/c?x=1&y=%20&x=2",
        headers=[("X-A", "1"), ("Accept", "text/plain"), ("Cookie", "k=v; l=w"), ("X-A", "2")],
        body=b"12345",
    )
    assert answer.json() == {
        "method": "POST",
        "path": "/request/a%20b/c",
        "query": "x=1&y=%20&x=2",
        "query_params": [["x", "1"], ["y", " "], ["x", "2"]],
        "path_params": {"rest": "a b/c"},
        "headers": [["x-a", "1"], ["x-a", "2"], ["content-length", "5"]],
        "accept": "text/plain",
        "cookies": {"k": "v", "l": "w"},
        "client": True,
        "length": 5,
    }
