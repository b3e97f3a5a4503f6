"""Companions over the websocket of a real node, which is killed while an answer is written."""

import asyncio
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp

from tests.faults.client_line import Guest, Line, new_guests
from tests.fixtures.ai import AiServer, ai_server
from tests.fixtures.http import bearer
from tests.fixtures.node import Node
from tests.integration.social.world import LUMINA

Json = dict[str, Any]


async def start(node: Node, guest: Guest) -> str:
    made = await ask(node, guest, "POST", "/v1/conversations", luminor_id=str(LUMINA))
    return str(made["conversation_id"])


async def ask(node: Node, guest: Guest, method: str, path: str, **body: object) -> Json:
    async with (
        aiohttp.ClientSession(node.url, headers=bearer(guest.token)) as web,
        web.request(method, path, json=body or None) as answer,
    ):
        told: Json = await answer.json()
        assert answer.status == 200, told
        return told


async def answer_of(line: Line, answer_id: str) -> tuple[str, Json]:
    """Read until an answer has ended; gives the pieces since the line began, and the message."""
    while True:
        for update in line.updates:
            if update["type"] == "companion.message" and (
                update["message"]["message_id"] == answer_id
            ):
                return pieces(line, answer_id), update["message"]
        await line.read()


def pieces(line: Line, answer_id: str) -> str:
    deltas = [
        each
        for each in line.updates
        if each["type"] == "companion.delta" and each["message_id"] == answer_id
    ]
    for before, after in pairwise(deltas):
        assert before["next_offset"] == after["offset"]
    return "".join(each["text"] for each in deltas)


async def until_text(line: Line, answer_id: str, text: str) -> None:
    while pieces(line, answer_id) != text:
        await line.read()


async def test_answers_survive_reconnections_stops_and_the_death_of_the_node(
    tmp_path: Path, serving_dsn: str
) -> None:
    async with ai_server() as ai:
        settings = {"ai_url": ai.url, "ai_key": "sk-secret", "companions_abandoned_s": 1}
        node = Node(tmp_path, serving_dsn, **settings)
        await asyncio.to_thread(node.start)
        try:
            (ann,) = await new_guests(node, 1)
            place = await start(node, ann)
            await stream_survives_a_reconnection(node, ai, ann, place)
            await stream_is_stopped(node, ai, ann, place)
            await stream_ends_with_its_node(node, ai, ann, place)
            await stream_ends_when_its_node_stops(node, ai, ann, place)
        finally:
            node.kill()
        assert not any("sk-secret" in line for line in node.output)


async def stream_survives_a_reconnection(node: Node, ai: AiServer, ann: Guest, place: str) -> None:
    ai.scripts.append(["One ", "<hold>", "two ", "three"])
    said = {"conversation_id": place, "text": "Count", "request_id": "first"}
    async with Line(node.websocket_url) as line:
        await line.greet(ann)
        first = await line.ok("companion.say", **said)
        await until_text(line, first["answer_id"], "One ")
        line.cut()
    async with Line(node.websocket_url) as line:
        await line.greet(ann)
        await line.ok("companion.follow", message_id=first["answer_id"], offset=4)
        ai.go.set()
        rest, message = await answer_of(line, first["answer_id"])
        assert (rest, message["content"]) == ("two three", "One two three")
        again = await line.ok("companion.say", **said)
        assert again["message_id"] == first["message_id"]
        assert len(ai.requests) == 1
    ai.go.clear()


async def stream_is_stopped(node: Node, ai: AiServer, ann: Guest, place: str) -> None:
    ai.scripts.append(["One ", "<hold>"])
    async with Line(node.websocket_url) as line:
        await line.greet(ann)
        said = await line.ok(
            "companion.say", conversation_id=place, text="Count", request_id="second"
        )
        await until_text(line, said["answer_id"], "One ")
        await line.ok("companion.stop", message_id=said["answer_id"])
        text, message = await answer_of(line, said["answer_id"])
        assert (text, message["status"]) == ("One ", "stopped")
        refused = await line.call("companion.follow", message_id=said["message_id"])
        assert refused["code"] == "message_not_found"


async def stream_ends_with_its_node(node: Node, ai: AiServer, ann: Guest, place: str) -> None:
    ai.scripts.append(["One ", "<hold>"])
    said = {"conversation_id": place, "text": "Count", "request_id": "third"}
    async with Line(node.websocket_url) as line:
        await line.greet(ann)
        first = await line.ok("companion.say", **said)
        await until_text(line, first["answer_id"], "One ")
        node.kill()
    await asyncio.to_thread(node.start)
    async with Line(node.websocket_url) as line:
        await line.greet(ann)
        again = await line.ok("companion.say", **said)
        assert (again["message_id"], again["answer_id"]) == (
            first["message_id"],
            first["answer_id"],
        )
        _, message = await answer_of(line, first["answer_id"])
        assert (message["status"], message["failure"]) == ("failed", "interrupted")
        assert message["content"] in ("", "One ")  # what was kept by then
        last = await line.ok("companion.say", **{**said, "request_id": "fourth"})
        await answer_of(line, last["answer_id"])
    listed = await ask(node, ann, "GET", f"/v1/conversations/{place}/messages")
    roles = [each["role"] for each in listed["messages"]]
    assert roles == ["assistant", "user"] * 4
    usage = await ask(node, ann, "GET", "/v1/me/companion-usage")
    assert usage["messages"] == 4


async def stream_ends_when_its_node_stops(node: Node, ai: AiServer, ann: Guest, place: str) -> None:
    ai.scripts.append(["One ", "<hold>"])
    async with Line(node.websocket_url) as line:
        await line.greet(ann)
        said = await line.ok(
            "companion.say", conversation_id=place, text="Count", request_id="fifth"
        )
        await until_text(line, said["answer_id"], "One ")
        assert await asyncio.to_thread(node.stop) == 0
    await asyncio.to_thread(node.start)
    message = await ask(node, ann, "GET", f"/v1/companion-messages/{said['answer_id']}")
    assert (message["status"], message["failure"]) == ("failed", "interrupted")
    assert message["content"] == "One "
    assert message["tokens"] > 0
