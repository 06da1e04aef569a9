"""The OpenAPI document that is served: valid, its examples are answered, and the answers are as it says."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.openapi.utils import get_openapi
from openapi_spec_validator import validate
from pydantic import BaseModel, ConfigDict, create_model

from serving import protocol
from serving.server import described
from tests.serving.conftest import NAME, Server
from tests.serving.in_process import PREDICT, InProcess

pytestmark = pytest.mark.filterwarnings("ignore:ORJSONResponse is deprecated")
Document = dict[str, Any]


@pytest.fixture(scope="module")
def document(server: Server) -> Document:
    reply = server.call("/openapi.json")
    assert reply.status == 200
    found: Document = reply.json
    return found


def test_document_is_valid_openapi(document: Document) -> None:
    assert document["openapi"].startswith("3.1")
    validate(document)  # type: ignore[arg-type]


def test_document_refers_to_nothing_that_is_not_there(document: Document) -> None:
    references = set(find(document, "$ref"))

    assert references
    for reference in references:
        place: Any = document
        for name in reference.removeprefix("#/").split("/"):
            place = place[name]


def find(node: Any, key: str) -> Iterator[Any]:
    """All values of a key, however deep."""
    if isinstance(node, dict):
        yield from (value for name, value in node.items() if name == key)
        for value in node.values():
            yield from find(value, key)
    elif isinstance(node, list):
        for value in node:
            yield from find(value, key)


def test_document_describes_predict_in_full_and_offers_nothing_that_is_closed(document: Document) -> None:
    operation = document["paths"][PREDICT]["post"]

    assert operation["requestBody"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/PredictRequest"
    }
    assert sorted(operation["responses"]) == ["200", "400", "413", "503"]
    assert set(document["components"]["schemas"]["Instance"]["properties"]) == set(
        protocol.Instance.model_fields
    )
    assert not [path for path in document["paths"] if "repository" in path or "versions" in path]
    assert "/v1/models/{model_name}:predict" not in document["paths"]


def test_examples_of_the_document_are_answered(document: Document, server: Server) -> None:
    schemas = document["components"]["schemas"]
    examples = schemas["PredictRequest"]["examples"]
    fields = {
        name: example
        for name, schema in schemas["Instance"]["properties"].items()
        for example in schema.get("examples", [])
    }

    assert examples
    for example in examples:
        assert server.call(PREDICT, json.dumps(example).encode()).status == 200
    assert server.predict(fields).status == 200


def exact(model: type[BaseModel]) -> type[BaseModel]:
    """A model of answers that takes no field but its own, all the way down."""
    fields = {
        name: (_exact_type(field.rebuild_annotation()), field) for name, field in model.model_fields.items()
    }
    return create_model(  # type: ignore[call-overload,no-any-return]
        f"Exact{model.__name__}", __config__=ConfigDict(extra="forbid", strict=True), **fields
    )


def _exact_type(kind: Any) -> Any:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return exact(kind)
    arguments = getattr(kind, "__args__", ())
    if getattr(kind, "__origin__", None) is list:
        return list[_exact_type(arguments[0])]  # type: ignore[misc]
    return kind


@pytest.mark.parametrize(
    "instance",
    [
        {"user_id": "u000"},
        {},
        {"user_id": "u000", "explain": True, "timings": True},
        {"surface": "similar", "item_id": "m003", "n": 100},
        {"surface": "similar", "item_id": "none such"},
        {"surface": "trending", "user_id": "u001"},
        {"surface": "popular", "history": ["m000"], "exclude": ["m001"]},
    ],
)
def test_answers_are_as_the_document_says_and_no_more(here: InProcess, instance: dict[str, Any]) -> None:
    reply = here.predict(instance)

    exact(protocol.PredictResponse).model_validate_json(reply.body)
    assert [item["rank"] for item in reply.prediction["items"]] == [
        rank for rank, _ in enumerate(reply.prediction["items"], 1)
    ]


def test_refusals_are_as_the_document_says_and_no_more(here: InProcess) -> None:
    exact(protocol.Refusal).model_validate_json(here.predict({"n": 0}).body)


def test_document_is_made_once_and_of_the_routes_that_there_are(here: InProcess) -> None:
    first = described(here.application, NAME)

    assert described(here.application, NAME) is first
    assert PREDICT not in get_openapi(title="", version="1", routes=here.application.routes)["paths"]
