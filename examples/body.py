"""Three ways to take a JSON body.

curl -H 'content-type: application/json' -d '{"name": "Ada", "age": "36"}' http://127.0.0.1:8000/dataclass
"""

from dataclasses import dataclass, field
from typing import Annotated, Any

from asioserve import App, Body, Query

app = App()


@app.post("/dict")
async def as_dict(body: dict[str, Any]) -> dict[str, Any]:
    """Any JSON object, as it comes."""
    return {"keys": sorted(body), "count": len(body)}


@dataclass
class Person:
    """Checked field by field; what does not fit is a 422 that names the place."""

    name: str
    age: int
    tags: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """May refuse: a ValueError is a 422 with its text."""
        if self.age < 0:
            raise ValueError("nobody is younger than nothing")


@app.post("/dataclass")
async def as_dataclass(person: Person) -> Person:
    """Needs nothing but the standard library."""
    person.tags.append("seen")
    return person


@app.post("/people")
async def people(people: list[Person], limit: Annotated[int, Query(ge=1, le=100)] = 10) -> dict[str, Any]:
    """A list of them, and a bounded parameter from the query beside it."""
    return {"oldest": max((p.age for p in people[:limit]), default=None)}


@app.put("/pair")
async def pair(left: Person, right: Person, note: Annotated[str, Body(max_length=20)] = "") -> dict[str, Any]:
    """Several of them are looked up by name: ``{"left": {…}, "right": {…}, "note": "…"}``."""
    return {"same age": left.age == right.age, "note": note}


try:
    from pydantic import BaseModel, Field
except ImportError:
    pass
else:

    class Item(BaseModel):
        """With pydantic its models work as they do in FastAPI, with pydantic's own words in a 422."""

        name: str = Field(min_length=1)
        price: float = Field(gt=0)

    @app.post("/pydantic")
    async def as_model(item: Item) -> Item:
        """A model in, a model out."""
        return item.model_copy(update={"price": round(item.price * 1.19, 2)})
