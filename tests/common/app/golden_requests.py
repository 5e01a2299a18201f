"""The requests that golden.py records and golden_test.cpp asks again."""

from __future__ import annotations

Request = tuple[str, str, list[tuple[str, str]], bytes]
"""Method, target, headers beside Host, body."""

INTS = """
0 1 -1 +1 007 -007 +007 1_000 1__000 _1 1_ 0_0 - + -- +-1 1.0 1. .0 1.5 -1.0 1.00 1.0_0 1e3 1E3 0x10 0b1 1,000 foo abc1 1abc
9223372036854775807 9223372036854775808 -9223372036854775808 -9223372036854775809 18446744073709551616
123456789012345678901234567890 %201 1%20 %201%20 %091%0A +%201 %C2%A01 %D9%A1 1%201 true 1.000000000000000000000 00 -0 +0 0.0
-0.0 1_0.0 1.0e0 inf nan 1%00 0_1 _ . -. 1..0 01_000 1_000.0 +1.0 %C2%A01%C2%A0 %0B1 %1C1 %E2%80%831 -%201 000 0000.000
""".split()
FLOATS = """
0 1 1.5 -1.5 +1.5 1e3 1E3 1e+3 1e-3 1e400 -1e400 1e-400 .5 5. . inf -inf +inf Infinity -Infinity +Infinity nan NaN -nan iNf infinity INF
1_000.5 1__0 _1.0 1_ 1._5 1_.5 %201.5%20 foo 1.5x 0x1p3 1,5 1e 1e_3 1e1_0 e3 --1 +-1 1.7976931348623157e308 5e-324 0.1 123456789.123456789 100000000000000000000 1e16
1e22 %C2%A01.5 %D9%A1 1.5%00 %091.5 in inf_ 1e5 123456789012345680000 1.0
""".split()
BOOLS = """
0 1 true false True False TRUE FALSE tRuE t f T F y n Y N yes no Yes No YES NO on off On Off ON OFF 2 -1 1.0 0.0 foo %201 1%20 %20true
none null oui 00 01
""".split()
JSON = [("content-type", "application/json")]

BODIES = [
    b"",
    b"{}",
    b"[]",
    b"null",
    b"5",
    b'"5"',
    b"true",
    b'{"a":1}',
    b'{"a":{},"b":[]}',
    b'{"a":[],"b":{}}',
    b'{"a":{}}',
    b'{"a":{"x":1},"b":[1,2]}',
    b'{"a":null,"b":null}',
    b"[1,2,3]",
    b"5.0",
    b"5.5",
    b"1e2",
    b'"x"',
    b"{",
    b"",
    b" ",
    b'{"a":1,}',
    b"{'a':1}",
    b'{"a":1}x',
    b'{"a":1',
    b'"abc',
    b'"\\x"',
    b'"\\ud800"',
    b"nul",
    b"[1,,2]",
    b'{"a" 1}',
    b'{"a":1 "b":2}',
    b"\xef\xbb\xbf{}",
    b"\xff\xfe{\x00}\x00",
    b"\xff",
    b'"\xff"',
    b"01",
    b"-",
    b"1.",
    b'{"n":123456789012345678901234567890}',
    b'{"n":18446744073709551616}',
    b'{"n":18446744073709551615}',
    b'{"n":-9223372036854775809}',
    b'{"n":1.0,"m":1e5,"o":1E400}',
    b'{"a":1,"a":2}',
    b'{"\\u00e9":"\\u20ac \xe2\x82\xac"}',
    b'"\x01"',
    b'\n{ "a" : [ 1 , 2 ] }\n',
]
TYPES = [
    [],
    [("content-type", "application/json; charset=utf-8")],
    [("content-type", "Application/JSON")],
    [("content-type", "application/vnd.api+json")],
    [("content-type", "application/jsonx")],
    [("content-type", "text/plain")],
    [("content-type", "text/json")],
    [("content-type", "application")],
    [("content-type", "application/x-www-form-urlencoded")],
    [("content-type", " application/json ")],
    [("content-type", "")],
    [("content-type", "application/json,text/plain")],
    [("content-type", "application/a/json")],
    [("content-type", "application/json ;x=1")],
]


def _get(target: str, *headers: tuple[str, str]) -> Request:
    return ("GET", target, list(headers), b"")


def _requests() -> list[Request]:
    found = [
        _get(t)
        for t in (
            "/",
            "/nowhere",
            "/int",
            "/int/",
            "/int/1/2",
            "//",
            "/%2F",
            "/?x",
            "/fixed/me",
            "/fixed/you",
        )
    ]
    found += [
        _get(t)
        for t in (
            "/fixed/late",
            "/slash",
            "/slash/",
            "/slash?x=1&y=%20",
            "/slash/a",
            "/slash/a%20b",
            "/q/int/?v=1",
        )
    ]
    found += [
        _get(t)
        for t in (
            "/slash/%C3%A9",
            "/slash/a+b",
            "/slash/a%22b",
            "/slash/a%3Fb",
            "/created/",
            "/slash/a//",
            "/int/1//",
        )
    ]
    found += [
        _get(t)
        for t in (
            "/files/",
            "/files/a",
            "/files/a/b",
            "/files/a%2Fb",
            "/files//",
            "/files",
            "/str/a%2Fb",
            "/str/%C3%A9",
        )
    ]
    found += [
        _get(t)
        for t in (
            "/str/%ff",
            "/str/%",
            "/str/%4",
            "/str/%zz",
            "/str/a+b",
            "/str/a%2Bb",
            "/str/%00",
            "/str/",
            "/str/%E2%82",
        )
    ]
    found += [_get(f"/two/{a}/{b}") for a in ("1", "x") for b in ("2.5", "y")]
    found += [_get(f"/int/{v}") for v in INTS if "%0A" not in v] + [_get(f"/q/int?v={v}") for v in INTS]
    found += [_get(f"/float/{v}") for v in FLOATS] + [_get(f"/q/float?v={v}") for v in FLOATS]
    found += [_get(f"/bool/{v}") for v in BOOLS] + [_get(f"/q/bool?v={v}") for v in BOOLS]
    found += [_get(f"/int/{'9' * n}") for n in (18, 19, 20, 38, 39, 100, 4299, 4300, 4301, 5000)]
    found += [_get(f"/int/-{'9' * n}") for n in (18, 19, 20, 4300, 4301)]
    found += [_get(f"/int/{'9' * n}.0") for n in (18, 4300)] + [
        _get(f"/int/{'0' * n}1") for n in (18, 4299, 4300)
    ]
    for name in ("int", "float", "bool", "str", "default", "optional", "list", "strings", "alias"):
        for query in (
            "",
            "?",
            "?v",
            "?v=",
            "?v=1&v=2",
            "?v=x&v=2",
            "?v=2&v=x",
            "?w=1",
            "?V=1",
            "?%76=1",
            "?v=%31",
            "?v=+1",
            "?v=1+",
        ):
            found.append(_get(f"/q/{name}{query}"))
        for query in (
            "?=1",
            "?&v=1&",
            "?v=a;v=2",
            "?v==1",
            "?v=a%26b",
            "?v=%ff",
            "?v=%C3%A9",
            "?other-name=4",
            "?v=null",
            "?x=1&w=a+b%2B",
        ):
            found.append(_get(f"/q/{name}{query}"))
    found.append(_get("/q/all/1?a=1&b=2&c=true&d=x", ("x-token", "5")))
    found.append(_get("/q/all/x?a=y&b=z&c=w&d=x", ("x-token", "v")))
    found.append(_get("/q/all/x"))
    found += [
        _get("/header", *h)
        for h in ([], [("x-number", "1")], [("x-number", "x")], [("x-number", "1"), ("x-number", "2")])
    ]
    found += [
        _get("/header", ("x-number", "1"), ("user-agent", v)) for v in ("", "curl/8", "caf\xe9", " a b ")
    ]
    found += [
        _get("/headers", *h)
        for h in (
            [],
            [("x-number", "1")],
            [("x-number", "x"), ("x-number", "2")],
            [("x-number", "1"), ("x-number", "2")],
        )
    ]
    for value in (
        "",
        "session=a",
        "session=a; n=5",
        "n=5",
        "session=a; n=x",
        "session",
        "session=",
        " session = a ; n=1",
        "session=a; session=b",
        'session="a b"; n=2',
        'session="a\\"b\\054c\\303"',
        "session=a=b",
        "session=a,n=3",
        ";;session=a;",
        "Session=a",
        'session="',
    ):
        found.append(_get("/cookie", ("cookie", value)))
    found += [_get("/header/alias", *h) for h in ([], [("x-num", "1")], [("x-num", "z")])]
    found.append(_get("/cookie"))
    found.append(_get("/cookie", ("cookie", "session=a"), ("cookie", "n=8")))
    for name in ("dict", "bare", "list", "any", "optional", "two", "embed", "defaulted", "int"):
        found += [("POST", f"/body/{name}", JSON, b) for b in BODIES]
        found += [("POST", f"/body/{name}", t, b'{"a":{}}') for t in TYPES]
        found += [("POST", f"/body/{name}", t, b"5") for t in TYPES[:2]]
    found += [("POST", "/body/dict", JSON, b"[" * n + b"]" * n) for n in (50, 100)]
    found += [
        ("POST", "/body/list", JSON, b"NaN"),
        ("POST", "/body/dict", [], b"caf\xc3\xa9"),
        ("POST", "/body/dict", [], b"\xff"),
    ]
    found += [("POST", "/body/int/x?q=y", JSON, b) for b in (b"", b"[]", b"{}", b"{")]
    found += [("POST", "/body/int/1", JSON, b"{}"), ("POST", "/body/int/1?q=2", JSON, b'{"z":1}')]
    for method in ("POST", "PUT", "DELETE", "PATCH", "TRACE", "BREW"):
        found += [
            (method, p, [], b"")
            for p in (
                "/",
                "/both",
                "/int/1",
                "/nowhere",
                "/gone",
                "/created",
                "/slash",
                "/slash/",
                "/fixed/me",
            )
        ]
    found += [
        ("POST", "/many", [], b""),
        ("PUT", "/many", [], b""),
        ("DELETE", "/gone", [], b""),
        _get("/both"),
    ]
    found += [_get(f"/http/{c}") for c in (400, 401, 404, 418, 500, 503, 204, 304, 200)]
    found += [_get(f"/http/plain/{c}") for c in (400, 404, 418, 422, 500, 204)]
    found += [_get("/boom"), _get("/boom/sync")]
    found += [
        _get(f"/conv/int/{v}") for v in ("1", "007", "-1", "x", "1.0", "99999999999999999999", "1/", "")
    ]
    found += [_get(f"/conv/float/{v}") for v in ("1", "1.5", ".5", "5.", "-1", "x", "1.5.5", "1e3")]
    found += [
        _get(f"/conv/uuid/{v}")
        for v in (
            "01234567-89ab-cdef-0123-456789abcdef",
            "0123456789abcdef0123456789abcdef",
            "x",
            "01234567-89AB-CDEF-0123-456789ABCDEF",
            "01234567-89ab-cdef-0123-456789abcde",
        )
    ]
    return found


REQUESTS = _requests()
