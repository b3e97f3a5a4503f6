"""The generated documents: complete, sound inside, the same every time."""

from collections.abc import Iterator

import orjson
import pytest
from pydantic import BaseModel, JsonValue

from protocol.asyncapi import asyncapi_document
from protocol.catalog import COMMANDS, UPDATES, all_errors
from protocol.envelope import WireModel
from protocol.errors import CloseReason, Forbidden, GameNotFound
from protocol.schemas import JsonObject, SchemaRegistry
from server.gateway.http.endpoints import Endpoint, HttpRequest, RawResponse
from server.gateway.http.openapi import openapi_document


class Question(WireModel):
    """What is asked."""

    limit: int = 20
    text: str


class Inner(WireModel):
    """What is inside an answer."""

    text: str


class Reply(WireModel):
    """What is answered."""

    kind: str = "reply"
    note: str | None = None
    inner: Inner


async def _never(_: HttpRequest) -> RawResponse:
    raise AssertionError


ENDPOINTS = [
    Endpoint("POST", "/v1/b", "Post b.", _never, auth="required", body=Question, tag="b"),
    Endpoint("GET", "/v1/b", "Get b.", _never, auth="none", answer=Reply, tag="b"),
    Endpoint(
        "GET",
        "/v1/a/{game_id:[0-9a-f-]+}",
        "Get a.",
        _never,
        query=Question,
        errors=(GameNotFound, Forbidden),
        tag="a",
    ),
]


def _walk(value: JsonValue) -> Iterator[JsonValue]:
    yield value
    if isinstance(value, dict):
        for child in value.values():
            yield from _walk(child)
    elif isinstance(value, list):
        for child in value:
            yield from _walk(child)


def _at(document: JsonValue, *keys: str) -> JsonValue:
    for key in keys:
        assert isinstance(document, dict)
        document = document[key]
    return document


def _keys(document: JsonObject, *path: str) -> list[str]:
    found = _at(document, *path)
    assert isinstance(found, dict)
    return list(found)


@pytest.fixture
def websocket() -> JsonObject:
    return asyncapi_document(version="1")


@pytest.fixture
def http() -> JsonObject:
    return openapi_document(ENDPOINTS, version="1")


@pytest.mark.parametrize("name", ["websocket", "http"])
def test_every_reference_leads_somewhere(name: str, request: pytest.FixtureRequest) -> None:
    document: JsonObject = request.getfixturevalue(name)
    references = [
        str(part["$ref"]) for part in _walk(document) if isinstance(part, dict) and "$ref" in part
    ]
    assert references
    for reference in references:
        root, *keys = reference.split("/")
        assert root == "#"
        assert isinstance(_at(document, *keys), dict)


def test_document_is_the_same_every_time(http: JsonObject) -> None:
    again = openapi_document(ENDPOINTS[::-1], version="1")
    assert orjson.dumps(again) == orjson.dumps(http)
    first, second = (orjson.dumps(asyncapi_document(version="1")) for _ in range(2))
    assert first == second


def test_every_command_has_its_reply_and_the_error(websocket: JsonObject) -> None:
    for name, command in COMMANDS.items():
        reply = _at(websocket, "operations", name, "reply", "messages")
        messages = "#/channels/socket/messages"
        assert reply == [
            {"$ref": f"{messages}/{command.reply.__name__}"},
            {"$ref": f"{messages}/error"},
        ]
        fields = _keys(websocket, "components", "schemas", name, "properties")
        assert fields == list(command.model_fields)


def test_every_update_is_sent(websocket: JsonObject) -> None:
    for name in UPDATES:
        assert _at(websocket, "operations", name, "action") == "send"
    assert len(_keys(websocket, "operations")) == len(COMMANDS) + len(UPDATES)


def test_every_error_and_close_code_is_explained(websocket: JsonObject) -> None:
    errors = websocket["x-errors"]
    assert isinstance(errors, list)
    by_code = {str(_at(error, "code")): error for error in errors}
    assert by_code.keys() == {"internal", *(error.code for error in all_errors())}
    for error in all_errors():
        assert _at(by_code[error.code], "retry") is error.retry
        assert _at(by_code[error.code], "meaning")
    codes = websocket["x-close-codes"]
    assert isinstance(codes, list)
    assert [_at(code, "code") for code in codes] == sorted(why.code for why in CloseReason)


def test_endpoints_are_listed_by_address(http: JsonObject) -> None:
    assert _keys(http, "paths") == ["/v1/a/{game_id}", "/v1/b"]
    assert _keys(http, "paths", "/v1/b") == ["get", "post"]


def test_parameters_come_from_the_address_and_the_query(http: JsonObject) -> None:
    parameters = _at(http, "paths", "/v1/a/{game_id}", "get", "parameters")
    assert isinstance(parameters, list)
    described = [(_at(each, "name"), _at(each, "in"), _at(each, "required")) for each in parameters]
    assert described == [
        ("game_id", "path", True),
        ("limit", "query", False),
        ("text", "query", True),
    ]
    assert _at(parameters[0], "schema", "pattern") == "^[0-9a-f-]+$"


def test_refusals_are_what_can_happen(http: JsonObject) -> None:
    expected = {
        ("/v1/b", "get"): ["200", "500"],
        ("/v1/b", "post"): ["200", "400", "401", "408", "413", "415", "422", "500"],
        ("/v1/a/{game_id}", "get"): ["200", "401", "403", "404", "422", "500"],
    }
    found = {keys: _keys(http, "paths", *keys, "responses") for keys in expected}
    assert found == expected
    refusal = _at(http, "paths", "/v1/b", "post", "responses", "401", "description")
    assert refusal == "Refused: `bad_token`, `token_expired`."


def test_token_is_asked_for_where_it_is_needed(http: JsonObject) -> None:
    assert _at(http, "paths", "/v1/b", "get", "security") == []
    assert _at(http, "paths", "/v1/b", "post", "security") == [{"bearer": []}]
    assert _at(http, "paths", "/v1/a/{game_id}", "get", "security") == [{}, {"bearer": []}]


def test_answers_promise_what_is_always_written(http: JsonObject) -> None:
    assert _at(http, "components", "schemas", "Reply", "required") == ["kind", "inner"]


def test_two_shapes_of_one_name_are_a_mistake() -> None:
    schemas = SchemaRegistry()
    schemas.add_model(Question)

    class Other(BaseModel):
        pass

    with pytest.raises(ValueError, match="two different schemas are called Question"):
        schemas.add_model(Other, name="Question")
