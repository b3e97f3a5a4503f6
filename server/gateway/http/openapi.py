"""The OpenAPI 3.1 document of the HTTP addresses, written from the endpoints."""

import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Final, Literal

from pydantic import BaseModel, Field, JsonValue

from protocol.asyncapi import describe_errors
from protocol.domain_events import DURABLE_EVENTS, DurableEvent
from protocol.envelope import WireModel
from protocol.errors import (
    BadFrame,
    BadToken,
    InvalidField,
    PlayhallError,
    RateLimited,
    RequestTimeout,
    TokenExpired,
    TooLarge,
    UnsupportedEncoding,
)
from protocol.ids import UUID_PATTERN
from protocol.schemas import JsonObject, SchemaRegistry, inline_schema
from server.gateway.http.endpoints import Endpoint

_ABOUT: Final = """Everything that is not live; the websocket is described in /asyncapi.json.

Errors have the same shape and codes as there, with the matching HTTP status. Send an
access token as `Authorization: Bearer …`. Lists page by an opaque cursor."""

# A parameter in a path, and its pattern if it has one: `{name}`, `{name:[a-z]{2}}`.
PLACEHOLDER: Final = re.compile(r"\{(\w+)(?::((?:[^{}]|\{[^{}]*\})*))?\}")


# What is told of rate limits; docs/reference/limits.md has the policies.
_HEADERS: Final[JsonObject] = {
    "RateLimit": {
        "description": 'What is left of each policy that counted this: "saves";r=97;t=1.',
        "schema": {"type": "string"},
    },
    "RateLimit-Policy": {
        "description": 'What each of these policies grants: "saves";q=100;w=20.',
        "schema": {"type": "string"},
    },
    "Retry-After": {
        "description": "Whole seconds after which the request is granted.",
        "schema": {"type": "integer", "minimum": 1},
    },
}


_UNCHANGED: Final = "The client has this already."

# What each group of addresses is for, in the order of the pages.
TAGS: Final = {
    "accounts": "Signing in, sessions, linked methods, merging.",
    "profiles": "Names and preferences; exporting and erasing one's data.",
    "consent": "What may be done with what games report.",
    "lobbies": "Where players gather.",
    "games": "Rulesets, and games that are running.",
    "records": "Match history, statistics, leaderboards.",
    "leaderboards": "Boards of the statistics that rulesets declare, and seasons.",
    "ratings": "How strong players are.",
    "saves": "Save slots, their revisions and conflicts, and saves that are logs.",
    "inventory": "Items, currencies, recipes, and the ledger.",
    "quests": "Quests, timed events and seasons.",
    "companions": "Companions to talk to, conversations, memories and bonds.",
    "telemetry": "What games report, and what is made of it.",
    "content": "Packages of content, what to fetch, and signed metadata.",
    "tournaments": "Competitions of many games: registration, pairings, standings.",
    "notifications": "What people are told, and announcements.",
    "blueprints": "What players create.",
    "creations": "What people make, publish and remix.",
    "reactions": "Likes and comments.",
    "storage": "Small objects that titles keep for players and games.",
    "follows": "Whom people follow, block and mute.",
    "feed": "Lists of what people published, and search.",
    "reports": "What people report, and what moderators decide.",
    "subscriptions": "Tiers that people pay for with Stripe.",
    "files": "Uploads and downloads.",
    "bots": "Bots, their tokens and avatars.",
    "wallets": "Linked addresses.",
    "epochs": "Days of competition.",
    "chain": "What is read from a blockchain.",
    "webhooks": "Events that other services are sent.",
    "moderation": "Bans, roles, and the audit log.",
    "operations": "Health, metrics, documents.",
}


class ErrorBody(WireModel):
    """Why the request was refused; where `retry` is true, sending it again can help."""

    type: Literal["error"] = "error"
    code: str
    message: str
    retry: bool
    field: str | None = None
    wait_s: float | None = Field(
        default=None, description="Seconds until the request can succeed, where known."
    )
    details: JsonObject | None = Field(default=None, description="More, as the code's page says.")


def openapi_document(endpoints: Sequence[Endpoint], *, version: str) -> JsonObject:
    """Write the document; the same endpoints always give the same."""
    schemas = SchemaRegistry()
    error = schemas.add_model(ErrorBody, mode="validation")
    by_path = sorted(endpoints, key=lambda endpoint: (_address(endpoint), endpoint.method))
    return {
        "openapi": "3.1.0",
        "info": {"title": "Playhall HTTP", "version": version, "description": _ABOUT},
        "servers": [{"url": "/"}],
        "tags": _tags(endpoints),
        "paths": {
            path: {each.method.lower(): _operation(each, schemas, error) for each in group}
            for path, group in groupby(by_path, key=_address)
        },
        "webhooks": {
            name: {"post": _message(event, schemas)}
            for name, event in sorted(DURABLE_EVENTS.items())
        },
        "components": {
            "schemas": schemas.sorted_schemas(),
            "headers": _HEADERS,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
            },
        },
        "x-errors": describe_errors(),
    }


def _tags(endpoints: Sequence[Endpoint]) -> list[JsonValue]:
    """List the groups that there are; those of title packages come last, without a description."""
    used = {endpoint.tag for endpoint in endpoints} | {"webhooks"}
    known: list[JsonValue] = [
        {"name": name, "description": about} for name, about in TAGS.items() if name in used
    ]
    others: list[JsonValue] = [{"name": name} for name in sorted(used - TAGS.keys() - {""})]
    return known + others


def _message(event: type[DurableEvent], schemas: SchemaRegistry) -> JsonObject:
    """Describe what is sent of an event."""
    schema: JsonObject = {
        "type": "object",
        "required": ["type", "version", "timestamp", "data"],
        "properties": {
            "type": {"const": event.name},
            "version": {"const": event.version},
            "timestamp": {"type": "string", "format": "date-time"},
            "data": schemas.add_model(event),
        },
    }
    return {
        "operationId": f"webhook_{event.name.replace('.', '_')}",
        "summary": _first_line(event),
        "tags": ["webhooks"],
        "requestBody": {"required": True, "content": _json(schema)},
        "responses": {"2XX": {"description": "The event arrived; the body is not read."}},
    }


def _address(endpoint: Endpoint) -> str:
    return PLACEHOLDER.sub(r"{\1}", endpoint.path)


def _operation(endpoint: Endpoint, schemas: SchemaRegistry, error: JsonObject) -> JsonObject:
    operation: JsonObject = {
        "operationId": _operation_id(endpoint),
        "summary": endpoint.summary,
        "tags": [endpoint.tag],
        "security": _security(endpoint),
        "parameters": [
            *_path_parameters(endpoint),
            *_query_parameters(endpoint),
            *_header_parameters(endpoint),
        ],
        "responses": {
            "200": _success(endpoint, schemas),
            **({"304": {"description": _UNCHANGED}} if _may_be_unchanged(endpoint) else {}),
            **_refusals(endpoint, error),
        },
    }
    if endpoint.body is not None:
        operation["requestBody"] = {"required": True, "content": _body(endpoint, schemas)}
    return operation


def _body(endpoint: Endpoint, schemas: SchemaRegistry) -> JsonObject:
    assert endpoint.body is not None
    if issubclass(endpoint.body, BaseModel):
        return {endpoint.body_type: {"schema": schemas.add_model(endpoint.body, mode="validation")}}
    return {endpoint.body_type: {}}


def _operation_id(endpoint: Endpoint) -> str:
    return "_".join([endpoint.method.lower(), *re.findall(r"\w+", _address(endpoint))])


def _security(endpoint: Endpoint) -> list[JsonValue]:
    nobody: JsonObject = {}
    # OpenAPI 3.1 lets a scheme that is no OAuth list the roles that are required.
    bearer: JsonObject = {"bearer": [] if endpoint.scope == "player" else [endpoint.scope]}
    if endpoint.auth == "none":
        return []
    return [bearer] if endpoint.auth == "required" else [nobody, bearer]


def _path_parameters(endpoint: Endpoint) -> Iterable[JsonObject]:
    for name, pattern in PLACEHOLDER.findall(endpoint.path):
        schema: JsonObject = {"type": "string"}
        if pattern:
            schema["pattern"] = f"^{pattern}$"
        elif name.endswith("_id"):
            schema["pattern"] = UUID_PATTERN
        yield {"name": name, "in": "path", "required": True, "schema": schema}


def _query_parameters(endpoint: Endpoint) -> Iterable[JsonObject]:
    if endpoint.query is None:
        return
    schema = inline_schema(endpoint.query, mode="validation")
    properties, required = schema["properties"], schema.get("required", [])
    assert isinstance(properties, dict)
    assert isinstance(required, list)
    for name, described in properties.items():
        yield {"name": name, "in": "query", "required": name in required, "schema": described}


def _may_be_unchanged(endpoint: Endpoint) -> bool:
    """Say whether an address answers 304, by the gateway's hand or its own."""
    return endpoint.is_tagged or (
        endpoint.method == "GET" and "If-None-Match" in dict(endpoint.headers)
    )


def _header_parameters(endpoint: Endpoint) -> Iterable[JsonObject]:
    named = dict(endpoint.headers)
    if endpoint.is_tagged:
        named["If-None-Match"] = "The ETag of the answer that you have; 304 if it is the same."
    for name, meaning in named.items():
        schema: JsonObject = {"type": "string"}
        yield {"name": name, "in": "header", "description": meaning, "schema": schema}


def _success(endpoint: Endpoint, schemas: SchemaRegistry) -> JsonObject:
    if endpoint.answer is None:
        return {"description": "What the summary says.", **_limit_headers(endpoint)}
    content = _json(schemas.add_model(endpoint.answer))
    return {
        "description": _first_line(endpoint.answer),
        "content": content,
        **_limit_headers(endpoint),
    }


def _refusals(endpoint: Endpoint, error: JsonObject) -> JsonObject:
    possible = sorted(_possible_errors(endpoint), key=lambda each: (each.status, each.code))
    refusals: JsonObject = {
        str(status): {
            "description": f"Refused: {_codes(group)}.",
            "content": _json(error),
        }
        for status, group in groupby(possible, key=lambda each: each.status)
    }
    if isinstance(limited := refusals.get(str(RateLimited.status)), dict):
        limited |= _limit_headers(endpoint, "Retry-After")
    return refusals


def _limit_headers(endpoint: Endpoint, *more: str) -> JsonObject:
    """Describe what is told of the limits of an endpoint that has any."""
    if RateLimited not in endpoint.errors:
        return {}
    names = ("RateLimit", "RateLimit-Policy", *more)
    return {"headers": {name: {"$ref": f"#/components/headers/{name}"} for name in names}}


def _possible_errors(endpoint: Endpoint) -> set[type[PlayhallError]]:
    possible: set[type[PlayhallError]] = {PlayhallError, *endpoint.errors}
    if endpoint.auth != "none":
        possible |= {BadToken, TokenExpired}
    if endpoint.query is not None or endpoint.body is not None:
        possible.add(InvalidField)
    if endpoint.body is not None:
        possible |= {BadFrame, TooLarge, UnsupportedEncoding, RequestTimeout}
    return possible


def _codes(errors: Iterable[type[PlayhallError]]) -> str:
    return ", ".join(f"`{error.code}`" for error in errors)


def _json(schema: JsonObject) -> JsonObject:
    return {"application/json": {"schema": schema}}


def _first_line(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").partition("\n")[0]
