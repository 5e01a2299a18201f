"""One app for two frameworks: golden.py records what FastAPI answers, golden_test.cpp compares what we answer.

``App``, ``HTTPException``, ``Query``, ``Header``, ``Cookie`` and ``Body`` are put in by whoever runs this source.
"""
# mypy: ignore-errors
# ruff: noqa: F821

from typing import Annotated, Any
from uuid import UUID

app = App()
several = getattr(app, "api_route", None) or app.route


@app.get("/")
async def root():
    return {"hello": "world"}


@app.get("/int/{v}")
async def path_int(v: int):
    return {"v": v}


@app.get("/float/{v}")
def path_float(v: float):
    return {"v": v}


@app.get("/bool/{v}")
async def path_bool(v: bool):
    return {"v": v}


@app.get("/str/{v}")
async def path_str(v: str):
    return {"v": v}


@app.get("/files/{name:path}")
async def path_path(name: str):
    return {"name": name}


@app.get("/two/{a}/{b}")
async def path_two(a: int, b: float):
    return {"a": a, "b": b}


@app.get("/fixed/me")
async def fixed_me():
    return {"fixed": "me"}


@app.get("/fixed/{who}")
async def fixed_who(who: str):
    return {"fixed": who}


@app.get("/fixed/late")
async def fixed_late():
    return {"fixed": "never: declared after the pattern"}


@app.get("/q/int")
async def query_int(v: int):
    return {"v": v}


@app.get("/q/float")
async def query_float(v: float):
    return {"v": v}


@app.get("/q/bool")
async def query_bool(v: bool):
    return {"v": v}


@app.get("/q/str")
async def query_str(v: str):
    return {"v": v}


@app.get("/q/default")
async def query_default(v: int = 7, w: str = "w", x: bool = False):
    return {"v": v, "w": w, "x": x}


@app.get("/q/optional")
async def query_optional(v: int | None = None):
    return {"v": v}


@app.get("/q/list")
async def query_list(v: Annotated[list[int], Query()]):
    return {"v": v}


@app.get("/q/strings")
async def query_strings(v: Annotated[list[str], Query()] = []):  # noqa: B006
    return {"v": v}


@app.get("/q/alias")
async def query_alias(v: Annotated[int, Query(alias="other-name")]):
    return {"v": v}


@app.get("/q/all/{p}")
async def query_all(p: int, a: int, b: float, c: bool, d: str, x_token: Annotated[int, Header()]):
    return {"p": p, "a": a, "b": b, "c": c, "d": d, "x_token": x_token}


@app.get("/header")
async def header(x_number: Annotated[int, Header()], user_agent: Annotated[str | None, Header()] = None):
    return {"x_number": x_number, "user_agent": user_agent}


@app.get("/headers")
async def header_list(x_number: Annotated[list[int], Header()]):
    return {"x_number": x_number}


@app.get("/cookie")
async def cookie(session: Annotated[str, Cookie()], n: Annotated[int, Cookie()] = 0):
    return {"session": session, "n": n}


@app.post("/body/dict")
async def body_dict(data: dict[str, Any]):
    return data


@app.post("/body/bare")
async def body_bare(data: dict):
    return data


@app.post("/body/list")
async def body_list(data: list[Any]):
    return data


@app.post("/body/any")
async def body_any(data: Annotated[Any, Body()]):
    return {"data": data}


@app.post("/body/optional")
async def body_optional(data: dict | None = None):
    return {"data": data}


@app.post("/body/two")
async def body_two(a: dict, b: list[Any]):
    return {"a": a, "b": b}


@app.post("/body/embed")
async def body_embed(a: Annotated[dict, Body(embed=True)]):
    return {"a": a}


@app.post("/body/defaulted")
async def body_defaulted(a: Annotated[dict, Body()], b: Annotated[dict | None, Body()] = None):
    return {"a": a, "b": b}


@app.get("/header/alias")
async def header_alias(n: Annotated[int, Header(alias="X-Num")]):
    return {"n": n}


@app.post("/body/int")
async def body_int(a: Annotated[int, Body()]):
    return {"a": a}


@app.post("/body/int/{p}")
async def body_and_path(p: int, a: dict, q: int = 1):
    return {"a": a, "p": p, "q": q}


@app.post("/many")
@app.put("/many")
async def many():
    return {"many": True}


@several("/both", methods=["GET", "POST"])
async def both():
    return {"both": True}


@app.post("/created", status_code=201)
async def created():
    return {"created": True}


@app.delete("/gone", status_code=204)
async def gone():
    return None


@app.get("/slash/")
async def slash():
    return {"slash": True}


@app.get("/slash/{v}/")
async def slash_v(v: str):
    return {"slash": v}


@app.get("/http/{code}")
async def http_error(code: int):
    raise HTTPException(status_code=code, detail={"code": code}, headers={"X-Why": "asked"})


@app.get("/http/plain/{code}")
async def http_plain(code: int):
    raise HTTPException(code)


@app.get("/boom")
async def boom():
    raise ValueError("secret")


@app.get("/boom/sync")
def boom_sync():
    raise ValueError("secret")


@app.get("/text")
async def text():
    return "text"  # FastAPI: JSON; not compared


@app.get("/conv/int/{v:int}")
async def conv_int(v: int):
    return {"v": v}


@app.get("/conv/float/{v:float}")
async def conv_float(v: float):
    return {"v": v}


@app.get("/conv/uuid/{v:uuid}")
async def conv_uuid(v: UUID):
    return {"v": str(v)}
