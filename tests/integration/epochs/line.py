"""A websocket as a client of days uses it: answers by their number, updates kept apart."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import Any, Self, TypeAlias

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

Json: TypeAlias = dict[str, Any]

PATIENCE_S = 20.0


class Line:
    """One connection. `events` holds the events as they came, also those of answers."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = count(1)
        self.events: list[Json] = []

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, token: str) -> AsyncIterator[Self]:
        """Connect and say hello."""
        async with connect(url, subprotocols=["playhall.v1"]) as socket:  # type: ignore[list-item]  # a NewType of str
            line = cls(socket)
            welcome = await line.ask("session.hello", token=token)
            assert welcome["type"] == "session.welcome", welcome
            yield line

    async def say(self, kind: str, **fields: object) -> int:
        """Send a command, and wait for nothing."""
        number = next(self._numbers)
        await self._socket.send(orjson.dumps({"id": number, "type": kind, **fields}).decode())
        return number

    async def ask(self, kind: str, **fields: object) -> Json:
        """Send a command and give the answer to it."""
        number = await self.say(kind, **fields)
        while (frame := await self.receive()).get("re") != number:
            pass
        return frame

    async def ok(self, kind: str, **fields: object) -> Json:
        """Ask for what must be granted."""
        answer = await self.ask(kind, **fields)
        assert answer["type"] == "ok", answer
        return answer

    async def refused(self, kind: str, **fields: object) -> Json:
        """Ask for what must be refused, in words for people."""
        answer = await self.ask(kind, **fields)
        assert answer["type"] == "error", answer
        assert len(answer["message"].split()) > 3
        return answer

    async def receive(self) -> Json:
        """Take the next frame; an event is kept as well."""
        async with asyncio.timeout(PATIENCE_S):
            frame: Json = orjson.loads(await self._socket.recv())
        if frame["type"] == "epoch.event":
            self.events.append(frame)
        return frame

    async def watch(self, **fields: object) -> Json:
        """Watch; what the answer has of events is kept like what follows."""
        answer = await self.ok("epoch.watch", **fields)
        self.events += [{"type": "epoch.event", **event} for event in answer["events"]]
        return answer

    async def until(self, version: int) -> list[Json]:
        """Read on until the event of a version came; gives all that came."""
        while not self.events or self.events[-1]["version"] < version:
            await self.receive()
        return self.events

    async def rest(self) -> AsyncIterator[Json]:
        """Read what still comes before the other side closes."""
        with suppress(ConnectionClosed):
            while True:
                yield await self.receive()

    async def closed(self) -> int | None:
        """Wait for the end; gives the code of closing."""
        await self._socket.wait_closed()
        return self._socket.close_code


def versions(events: list[Json]) -> list[int]:
    """Give the versions of events, as they came."""
    return [event["version"] for event in events]


def replay(snapshot: Json, events: list[Json]) -> Json:
    """Apply events to a snapshot as a client does; a gap is an error."""
    slots = {slot["slot_index"]: dict(slot) for slot in snapshot["slots"]}
    shown = {**snapshot}
    for event in events:
        assert event["version"] == shown["version"] + 1, (event, shown["version"])
        shown["version"] = event["version"]
        if event["event"] in ("slot_claimed", "slot_overwritten"):
            slots[event["slot_index"]] |= {
                "code": event["payload"]["code"],
                "bot_id": event["bot_id"],
                "bot": event["bot"],
                "updated_at": event["at"],
                "version": event["version"],
            }
        elif event["event"] == "phase_changed":
            shown["phase"] = event["payload"]["phase"]
    return shown | {"slots": [slots[index] for index in sorted(slots)]}
