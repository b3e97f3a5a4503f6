"""The AsyncAPI 3.0 document of the websocket, written from the catalogue."""

from typing import Final

from pydantic import JsonValue

from protocol import limits
from protocol.catalog import COMMANDS, UPDATES, all_errors
from protocol.envelope import Command, Refusal, Update
from protocol.errors import CloseReason, PlayhallError
from protocol.schemas import JsonObject, SchemaRegistry

_ABOUT: Final = """One websocket carries everything live. Each text frame holds one JSON object.

Commands go to the server; `id` is yours and comes back as `re`. Every command gets exactly
one reply, the one named here or an error. The first command is `session.hello`. Updates
come without being asked. `x-errors` lists the error codes, `x-close-codes` why the server
closes a socket, `x-limits` the bounds."""

_CHANNEL: Final = "socket"
_REFUSAL: Final = "error"


def asyncapi_document(*, version: str) -> JsonObject:
    """Write the document; the same program always writes the same."""
    schemas = SchemaRegistry()
    messages = _messages(schemas)
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Playhall websocket", "version": version, "description": _ABOUT},
        "defaultContentType": "application/json",
        "servers": {"this": _server()},
        "channels": {_CHANNEL: _channel(messages)},
        "operations": {
            **{name: _receive(name, COMMANDS[name]) for name in sorted(COMMANDS)},
            **{name: _send(name, UPDATES[name]) for name in sorted(UPDATES)},
        },
        "components": {"messages": messages, "schemas": schemas.sorted_schemas()},
        "x-errors": describe_errors(),
        "x-close-codes": _close_codes(),
        "x-limits": _limits(),
    }


def _server() -> JsonObject:
    return {
        "host": "{host}",
        "protocol": "wss",
        "description": "Any node; `ws` where the server runs without TLS.",
        "variables": {"host": {"default": "localhost:8080"}},
    }


def _channel(messages: JsonObject) -> JsonObject:
    headers: JsonObject = {
        "type": "object",
        "properties": {"Sec-WebSocket-Protocol": {"const": limits.SUBPROTOCOL}},
        "required": ["Sec-WebSocket-Protocol"],
    }
    return {
        "address": "/ws",
        "description": f"Offer the subprotocol `{limits.SUBPROTOCOL}`.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
        "bindings": {"ws": {"method": "GET", "headers": headers}},
    }


def _messages(schemas: SchemaRegistry) -> JsonObject:
    found: JsonObject = {_REFUSAL: _message(_summary(Refusal), schemas.add_model(Refusal))}
    for name, command in COMMANDS.items():
        payload = schemas.add_model(command, name=name, mode="validation")
        found[name] = _message(_summary(command), payload)
        reply = command.reply
        found[reply.__name__] = _message(_summary(reply), schemas.add_model(reply))
    for name, update in UPDATES.items():
        found[name] = _message(_summary(update), schemas.add_model(update, name=name))
    return {name: found[name] for name in sorted(found)}


def _message(summary: str, payload: JsonObject) -> JsonObject:
    return {"summary": summary, "payload": payload}


def _receive(name: str, command: type[Command]) -> JsonObject:
    return {
        "action": "receive",
        "summary": _summary(command),
        "tags": [{"name": name.partition(".")[0]}],
        "channel": _channel_ref(),
        "messages": [_on_channel(name)],
        "reply": {
            "channel": _channel_ref(),
            "messages": [_on_channel(command.reply.__name__), _on_channel(_REFUSAL)],
        },
    }


def _send(name: str, update: type[Update]) -> JsonObject:
    return {
        "action": "send",
        "summary": _summary(update),
        "tags": [{"name": name.partition(".")[0]}],
        "channel": _channel_ref(),
        "messages": [_on_channel(name)],
    }


def _channel_ref() -> JsonObject:
    return {"$ref": f"#/channels/{_CHANNEL}"}


def _on_channel(message: str) -> JsonObject:
    return {"$ref": f"#/channels/{_CHANNEL}/messages/{message}"}


def _summary(documented: type[object]) -> str:
    return (documented.__doc__ or "").partition("\n")[0]


def describe_errors() -> list[JsonValue]:
    """Write what each error code means, and whether sending the same again can help."""
    known: list[type[PlayhallError]] = [PlayhallError, *all_errors()]
    return [
        {
            "code": error.code,
            "meaning": _summary(error),
            "status": error.status,
            "retry": error.retry,
        }
        for error in known
    ]


def _close_codes() -> list[JsonValue]:
    return [
        {"code": why.code, "reason": why.reason, "retry": why.retry}
        for why in sorted(CloseReason, key=lambda why: why.code)
    ]


def _limits() -> JsonObject:
    return {
        name.lower(): value
        for name, value in sorted(vars(limits).items())
        if name.isupper() and isinstance(value, int | float)
    }
