"""Deleting what others use at the same time: no answer is a failure, and counters agree."""

import asyncio
from collections.abc import Callable, Coroutine
from secrets import token_hex
from typing import Any, Final

import pytest

from tests.e2e.social.conftest import Person, Platform
from tests.integration.social.world import LUMINA

pytestmark = pytest.mark.xdist_group("social platform")

Use = Callable[[Person], Coroutine[Any, Any, tuple[int, Any]]]
ROUNDS: Final = 3


async def use_while(
    people: list[Person], uses: list[Use], end: Coroutine[Any, Any, tuple[int, Any]]
) -> list[tuple[int, Any]]:
    """Have everybody use something again and again until it was deleted; gives what they got."""
    has_ended = asyncio.Event()
    used = asyncio.Semaphore(0)
    answers: list[tuple[int, Any]] = []

    async def go_on(who: Person, use: Use) -> None:
        while True:
            is_last = has_ended.is_set()
            answers.append(await use(who))
            used.release()
            if is_last:
                return

    async def end_it() -> None:
        for _ in range(len(people) * len(uses)):
            await used.acquire()
        status, answer = await end
        assert status == 200, answer
        has_ended.set()

    async with asyncio.TaskGroup() as group:
        for who in people:
            for use in uses:
                group.create_task(go_on(who, use))
        group.create_task(end_it())
    assert [each for each in answers if each[0] >= 500] == []
    return answers


def uses_of(creation: str) -> list[Use]:
    """List what people do with a creation."""
    path = f"/creations/{creation}"
    return [
        lambda who: who.ask("PUT", f"{path}/like"),
        lambda who: who.ask("DELETE", f"{path}/like"),
        lambda who: who.ask("POST", f"{path}/comments", {"content": "Well done"}),
        lambda who: who.ask("POST", f"{path}/remix", {"title": "Another lake"}),
        lambda who: who.ask("POST", f"{path}/views"),
        lambda who: who.ask("GET", path),
    ]


@pytest.mark.parametrize("way", ["delete", "archive"])
async def test_creation_that_goes_while_it_is_used(platform: Platform, way: str) -> None:
    ann, *others = await platform.people(4)
    for _ in range(ROUNDS):
        creation = await ann.published(allow_remix=True)
        path = f"/creations/{creation}"
        end = ann.ask("DELETE", path) if way == "delete" else ann.ask("POST", f"{path}/archive")
        answers = await use_while(others, uses_of(creation), end)
        assert {status for status, _ in answers} == {200, 404}
        await platform.owner.fetchval("SELECT flush_creation_views()")
        assert await platform.wrong_counters() == []


async def test_comment_that_is_deleted_while_it_is_liked_and_answered(platform: Platform) -> None:
    ann, bob, *others = await platform.people(5)
    creation = await ann.published()
    for _ in range(ROUNDS):
        comment = await bob.comment(creation)
        uses: list[Use] = [
            lambda who, c=comment: who.ask("PUT", f"/comments/{c}/like"),  # type: ignore[misc]
            lambda who, c=comment: who.ask("DELETE", f"/comments/{c}/like"),  # type: ignore[misc]
            lambda who, c=comment: who.ask(  # type: ignore[misc]
                "POST",
                f"/creations/{creation}/comments",
                {"content": "I agree", "parent_comment_id": c},
            ),
        ]
        await use_while(others, uses, bob.ask("DELETE", f"/comments/{comment}"))
        assert await platform.wrong_counters() == []


async def test_account_that_is_deleted_while_others_use_what_it_made(platform: Platform) -> None:
    *others, last = await platform.people(4)
    others = [*others, last]
    for _ in range(ROUNDS):
        (ann,) = await platform.people(1)
        creation = await ann.published(allow_remix=True)
        others_creation = await others[0].published()
        await ann.comment(others_creation)
        await ann.ok("PUT", f"/creations/{others_creation}/like")
        follow = f"/people/{ann.id}/follow"
        uses: list[Use] = [
            *uses_of(creation),
            lambda who, path=follow: who.ask("PUT", path, {}),  # type: ignore[misc]
            lambda who, path=follow: who.ask("DELETE", path),  # type: ignore[misc]
        ]
        me = await ann.ok("GET", "/me")
        end = ann.ask("DELETE", "/me", {"confirm": me["username"]})
        answers = await use_while(others, uses, end)
        assert 404 in {status for status, _ in answers}
        await platform.owner.fetchval("SELECT flush_creation_views()")
        assert await platform.wrong_counters() == []


async def test_account_and_conversation_that_are_deleted_while_a_companion_answers(
    platform: Platform,
) -> None:
    for target in ("conversation", "account"):
        (ann,) = await platform.people(1)
        begun = await ann.ok("POST", "/conversations", {"luminor_id": str(LUMINA)})
        conversation = f"/conversations/{begun['conversation_id']}"
        me = await ann.ok("GET", "/me")

        async def say(
            who: Person = ann, path: str = f"{conversation}/messages"
        ) -> tuple[int, bytes]:
            headers = {"Authorization": f"Bearer {who.guest.token}"}
            body = {"text": "Tell me of lakes", "request_id": token_hex(8)}
            async with platform.web.post(f"/v1{path}", json=body, headers=headers) as answer:
                return answer.status, await answer.read()

        assert (await say())[0] == 200
        saying = [asyncio.create_task(say()) for _ in range(3)]
        if target == "conversation":
            assert (await ann.ask("DELETE", conversation))[0] == 200
        else:
            await ann.ok("DELETE", "/me", {"confirm": me["username"]})
        answers = await asyncio.gather(*saying)
        assert [status for status, _ in answers if status >= 500] == []
        assert await platform.wrong_counters() == []
        left = "SELECT count(*) FROM luminor_messages WHERE user_id = $1"
        assert await platform.owner.fetchval(left, ann.id) == 0
