"""The daily email: to a real SMTP server, from a whole server on a port."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest
from pydantic import SecretStr

from persistence.database import Database
from persistence.notifications.digests import DigestStore
from persistence.notifications.store import NotificationStore
from persistence.rls import RlsDatabase
from persistence.sealing import Seal
from server.app import App
from server.config import Config
from server.core.clock import Clock
from server.core.tasks import Tasks
from server.domains.interfaces import AccountMail
from server.domains.services import Services
from server.domains.social.notifications.digests import DigestMailer
from tests.fixtures.http import bearer, listening
from tests.fixtures.smtp import PostOffice, post_office, until

PREFERENCES = "/v1/notifications/preferences"
DAILY, OFF = {"email_digest": "daily"}, {"email_digest": "off"}


@dataclass
class Hall:
    """A server, its mail, and its database as the owner."""

    http: aiohttp.ClientSession
    office: PostOffice
    owner: asyncpg.Connection
    digests: DigestMailer

    async def post(self, path: str, token: str = "", **body: object) -> tuple[int, Any]:
        headers = bearer(token) if token else {}
        async with self.http.post(path, json=body, headers=headers) as answer:
            return answer.status, await answer.json()

    async def prefer(self, token: str, choice: dict[str, str]) -> tuple[int, Any]:
        async with self.http.patch(PREFERENCES, json=choice, headers=bearer(token)) as answer:
            return answer.status, await answer.json()

    async def registered(self, email: str) -> Any:
        await self.post("/v1/auth/email", email=email)
        await until(lambda: self.office.to(email) != [])
        code = self.office.to(email)[-1].get_content().partition("#")[2].split()[0]
        self.office.letters.clear()
        self.office.recipients.clear()
        status, done = await self.post(
            "/v1/auth/email/confirm", code=code, password="correct horse"
        )
        assert status == 200, done
        return done["tokens"]

    async def notify(self, user_id: str, title: str) -> None:
        await self.owner.execute(
            "INSERT INTO notifications (user_id, type, title, message)"
            " VALUES ($1, 'mention', $2, 'in a comment')",
            user_id,
            title,
        )

    async def a_day_passes(self) -> None:
        await self.owner.execute(
            "UPDATE notification_digests SET next_due_at = next_due_at - interval '1 day'"
        )
        await self.digests.mail_due()


@pytest.fixture
async def hall(
    fresh_dsn: str, database: Database, rls: RlsDatabase, tmp_path: Path
) -> AsyncIterator[Hall]:
    owner = await asyncpg.connect(fresh_dsn)
    async with post_office() as (office, smtp_port), Tasks() as tasks:
        url = SecretStr(f"smtp+plain://127.0.0.1:{smtp_port}")
        config = Config(data_dir=tmp_path, epochs=False, smtp_url=url)
        services = Services(config, database, rls, "n1", Clock(), tasks, {})
        app = App(services)
        digests = DigestMailer(
            digests=DigestStore(database),
            notifications=NotificationStore(database, rls),
            mail=services.interfaces.get(AccountMail),
            seal=services.interfaces.get(Seal),
            server=services.address,
        )
        async with (
            listening(app) as port,
            aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http,
        ):
            yield Hall(http, office, owner, digests)
    await owner.close()


async def test_a_digest_a_day_for_those_who_asked_until_they_unsubscribe(hall: Hall) -> None:
    ann, ben = await hall.registered("ann@example.org"), await hall.registered("ben@example.org")
    status, guest = await hall.post("/v1/auth/guest")
    assert status == 200
    for who in (ann, guest):  # one without an address is mailed nothing
        status, told = await hall.prefer(who["access_token"], DAILY)
        assert (status, told["email_digest"]) == (200, "daily")
    for who in (ann, ben, guest):
        await hall.notify(who["user_id"], "Bob mentioned you")
        await hall.notify(who["user_id"], "Cy mentioned you")

    await hall.digests.mail_due()
    assert hall.digests.sent_total == 0, "not before a day is over"
    await hall.a_day_passes()
    await hall.digests.mail_due()
    assert hall.digests.sent_total == 1
    await until(lambda: hall.office.to("ann@example.org") != [])
    (letter,) = hall.office.letters
    assert letter["Subject"] == "You have 2 new notifications"
    text = letter.get_content().replace("\r\n", "\n")
    assert "  - Cy mentioned you: in a comment\n  - Bob mentioned you: in a comment\n" in text

    await hall.a_day_passes()
    assert hall.digests.sent_total == 1, "nothing is new"
    await hall.notify(ann["user_id"], "Dee mentioned you")
    await hall.a_day_passes()
    assert hall.digests.sent_total == 2
    await until(lambda: len(hall.office.letters) == 2)
    assert "Bob" not in hall.office.letters[1].get_content()

    one_click = letter["List-Unsubscribe"].strip("<>")
    token = text.partition("/notifications/unsubscribe#")[2].split()[0]
    assert one_click.endswith(f"/v1/notifications/unsubscribe/{token}")
    assert letter["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    async with hall.http.get("/notifications/unsubscribe") as page:
        assert page.status == 200
    for bad in (token[:-2] + ("AA" if token[-2:] != "AA" else "BB"), "x", token[:20]):
        status, refused = await hall.post(f"/v1/notifications/unsubscribe/{bad}")
        assert (status, refused["code"]) == (400, "bad_unsubscribe_link")
    for _ in range(2):
        form = {"List-Unsubscribe": "One-Click"}
        async with hall.http.post(one_click, data=form) as answer:
            assert (answer.status, await answer.json()) == (200, {"email_digest": "off"})
    async with hall.http.get(PREFERENCES, headers=bearer(ann["access_token"])) as answer:
        assert (await answer.json())["email_digest"] == "off"
    await hall.notify(ann["user_id"], "Eve mentioned you")
    await hall.a_day_passes()
    assert hall.digests.sent_total == 2


async def test_a_digest_leaves_out_what_is_read_and_whom_one_blocks(hall: Hall) -> None:
    ann, eve = await hall.registered("ann@example.org"), await hall.registered("eve@example.org")
    await hall.prefer(ann["access_token"], DAILY)
    follow = "INSERT INTO follows (follower_id, following_id) VALUES ($1, $2)"
    await hall.owner.execute(follow, eve["user_id"], ann["user_id"])
    await hall.owner.execute(
        "INSERT INTO blocks (blocker_id, blocked_id) VALUES ($1, $2)",
        ann["user_id"],
        eve["user_id"],
    )
    await hall.notify(ann["user_id"], "Bob mentioned you")
    await hall.owner.execute("UPDATE notifications SET is_read = true")
    await hall.a_day_passes()
    assert hall.digests.sent_total == 0
    assert (await hall.prefer(ann["access_token"], OFF))[1]["email_digest"] == "off"
