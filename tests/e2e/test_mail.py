"""Mail from a real node to a real SMTP server: odd addresses, look-alikes, bad servers."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.fixtures.http import bearer
from tests.fixtures.node import Node
from tests.fixtures.smtp import PATIENCE_S, Mood, PostOffice, post_office, until

PASSWORD = "correct horse"
KELVIN = "\u212a"  # looks like a K and becomes one in Unicode's normal form
# A proxy that is believed: every request comes from a network of its own, unless one is given.
BELIEVED = {"trusted_proxies": "127.0.0.1"}
AT_ONCE = 16


@dataclass
class Hall:
    """A node, its mail, and a client of it."""

    node: Node
    office: PostOffice
    http: aiohttp.ClientSession
    networks: Iterator[int]

    async def post(self, path: str, *, token: str = "", **body: object) -> tuple[int, Any]:
        n = next(self.networks)
        headers = {"X-Forwarded-For": f"10.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}"}
        headers |= bearer(token) if token else {}
        async with self.http.post(path, json=body, headers=headers) as reply:
            return reply.status, await reply.json()

    async def ask(self, email: str) -> int:
        return (await self.post("/v1/auth/email", email=email))[0]

    async def mailed(self, email: str, *, to: str, nth: int = 1) -> EmailMessage:
        """Ask for a mail, and give the one that comes to an address."""
        assert await self.ask(email) == 200
        await until(lambda: len(self.office.to(to)) >= nth)
        return self.office.to(to)[nth - 1]

    async def registered(self, email: str) -> str:
        """Register, and give the access token."""
        code = code_of(await self.mailed(email, to=email))
        status, confirmed = await self.confirm(code)
        assert (status, confirmed["done"]) == (200, "registered")
        return str(confirmed["tokens"]["access_token"])

    async def confirm(self, code: str) -> tuple[int, Any]:
        return await self.post("/v1/auth/email/confirm", code=code, password=PASSWORD)

    async def sign_in(self, email: str) -> int:
        return (await self.post("/v1/auth/email/sign-in", email=email, password=PASSWORD))[0]

    async def metric(self, name: str) -> float:
        async with self.http.get("/metrics") as reply:
            found = re.search(rf"^{name} (\S+)$", await reply.text(), re.M)
        assert found is not None
        return float(found[1])

    async def is_up(self) -> bool:
        async with self.http.get("/healthz") as reply:
            return reply.status == 200


def code_of(letter: EmailMessage) -> str:
    found = re.search(r"/account/confirm#([\w-]{43})\s", letter.get_content())
    assert found is not None
    return found[1]


@asynccontextmanager
async def hall_at(node: Node, office: PostOffice) -> AsyncIterator[Hall]:
    async with aiohttp.ClientSession(node.url) as http:
        yield Hall(node, office, http, count(1))


@pytest.fixture
async def hall(tmp_path: Path, serving_dsn: str) -> AsyncIterator[Hall]:
    async with post_office() as (office, port):
        url = f"smtp+plain://127.0.0.1:{port}"
        with Node(tmp_path, serving_dsn, smtp_url=url, **BELIEVED) as node:
            async with hall_at(node, office) as hall:
                yield hall


# ------------------------------------------------------------------ what is no address

ODD = [*map(chr, range(33)), *',;<>:"()[]\\@.|`\x7f', "\x80", "\xa0", "\u200b", "\u202e", "\u3002"]
ODD += [
    "\ufe6b",
    "\uff20",
    "\uff0c",
    KELVIN,
    "\u017f",
    "\ufb01",
    "é",
    "e\u0301",
    "\U0001f600",
    "..",
]
ODD += [",root", ";x", "=?utf-8?q?=40?=", "\r\nBcc: eve@example.net", "%00", "a" * 70]
PLACES = [
    "{}ann@example.org", "a{}n@example.org", "ann{}@example.org", "ann@{}example.org",
    "ann@exa{}mple.org", "ann@example{}.org", "ann@example.{}org", "ann@example.o{}g",
    "ann@example.org{}", "ann@example.{}", '"a{}n"@example.org', "<ann{}@example.org>",
    "Ann {}<ann@example.org>", "ann@[127.0.0.{}]",
]  # fmt: skip
ADDRESSES = [place.format(odd) for place in PLACES for odd in ODD]


async def test_no_odd_address_ends_the_node_or_mails_anybody_else(hall: Hall) -> None:
    assert len(ADDRESSES) > 900
    some = asyncio.Semaphore(AT_ONCE)

    async def ask(email: str) -> int:
        async with some:
            return await hall.ask(email)

    statuses = await asyncio.gather(*map(ask, ADDRESSES))
    # 429 is an address that others of the list are spellings of.
    odd = {a: s for a, s in zip(ADDRESSES, statuses, strict=True) if s not in (200, 422, 429)}
    assert odd == {}
    accepted = statuses.count(200)
    await until(lambda: len(hall.office.letters) == accepted)
    assert await hall.is_up()
    plain = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+@[a-z0-9.-]+")
    for letter, recipients in zip(hall.office.letters, hall.office.recipients, strict=True):
        (recipient,) = recipients
        assert plain.fullmatch(recipient), recipient
        assert [each.addr_spec for each in letter["To"].addresses] == [recipient]
        assert letter["Bcc"] is None
    assert not any(hall.office.smtputf8)
    await hall.mailed("bo@example.org", to="bo@example.org")


@pytest.mark.parametrize(
    "email",
    [
        "victim@b.example,root", "victim@b.example;x", "victim@b.example>", "a@b.example.,",
        "=?utf-8?q?victim=40b=2Eexample?=@c.example", "=?utf-8?q?victim?=@b.example",
        '"victim"@b.example', "Victim <victim@b.example>", "victim@b.example\x00",
        "victim@b.example\n", f"MI{KELVIN}E@example.org", "mike@localhost", "é@example.org",
    ],
)  # fmt: skip
async def test_address_that_could_be_read_as_another_is_refused_by_field(
    hall: Hall, email: str
) -> None:
    token = (await hall.post("/v1/auth/guest"))[1]["access_token"]
    # A line break at the end is taken off, like any blank.
    expected = 200 if email.endswith("\n") else 422
    for path in ("/v1/auth/email", "/v1/me/methods/email"):
        status, answer = await hall.post(path, token=token, email=email)
        assert status == expected, answer
        if expected == 422:
            assert answer["field"] == "email"
            assert "name@example.org" in answer["message"]
    assert await hall.sign_in(email) in (401, 422)


# ------------------------------------------------------------------ whom mail goes to


@pytest.mark.parametrize(
    "typed", ["MIKE@EXAMPLE.ORG", "Mike@Example.org", " mike@example\uff0eorg "]
)
async def test_mail_for_an_account_goes_to_the_address_that_it_has_stored(
    hall: Hall, typed: str
) -> None:
    await hall.registered("mike@example.org")
    letter = await hall.mailed(typed, to="mike@example.org", nth=2)
    assert "new password" in letter["Subject"]
    assert letter["To"] == "mike@example.org"
    status, confirmed = await hall.confirm(code_of(letter))
    assert (status, confirmed["done"]) == (200, "password_changed")
    assert hall.office.recipients == [["mike@example.org"]] * 2


async def test_mail_to_link_an_address_of_an_account_goes_to_the_stored_one(hall: Hall) -> None:
    await hall.registered("mike@example.org")
    token = (await hall.post("/v1/auth/guest"))[1]["access_token"]
    status, _ = await hall.post("/v1/me/methods/email", token=token, email="MIKE@example.org")
    assert status == 200
    await until(lambda: len(hall.office.to("mike@example.org")) == 2)
    status, answer = await hall.confirm(code_of(hall.office.to("mike@example.org")[1]))
    assert (status, answer["code"]) == (409, "method_taken")


async def test_code_resets_no_account_that_has_another_spelling(hall: Hall) -> None:
    other = code_of(await hall.mailed("MIKE@example.org", to="MIKE@example.org"))
    await hall.registered("mike@example.org")
    status, answer = await hall.confirm(other)
    assert (status, answer["code"]) == (403, "bad_code")


async def test_international_domain_is_mailed_as_punycode_and_is_one_account(hall: Hall) -> None:
    ascii_form = "ann@xn--bcher-kva.example"
    letter = await hall.mailed("ann@BÜCHER.example", to=ascii_form)
    assert letter["To"] == ascii_form
    assert (await hall.confirm(code_of(letter)))[1]["done"] == "registered"
    for spelling in ("ann@bücher.example", ascii_form, "ANN@bu\u0308cher.example"):
        assert await hall.sign_in(spelling) == 200
    again = await hall.mailed(ascii_form, to=ascii_form, nth=2)
    assert "new password" in again["Subject"]
    assert not any(hall.office.smtputf8)


async def test_all_spellings_of_an_address_share_its_limit(hall: Hall) -> None:
    spellings = [
        "ann@bücher.example", "ANN@BÜCHER.EXAMPLE", "ann@xn--bcher-kva.example",
        "Ann@bu\u0308cher.example", "ann@bücher\u3002example",
    ]  # fmt: skip
    statuses = [await hall.ask(spelling) for spelling in spellings]
    assert statuses == [200, 200, 200, 429, 429]


async def test_mail_to_a_stranger_quotes_no_name_of_the_sender(hall: Hall) -> None:
    name = "Win at https://evil.example/ now"
    guest = (await hall.post("/v1/auth/guest", display_name=name))[1]
    token = guest["access_token"]
    await hall.post("/v1/me/methods/email", token=token, email="ann@example.org")
    await hall.post("/v1/auth/email", email="bo@example.org", display_name=name)
    await until(lambda: len(hall.office.letters) == 2)
    for letter in hall.office.letters:
        assert "evil" not in letter.as_string()
        assert "evil" not in letter.get_content()


# ------------------------------------------------------------------ servers that misbehave

MOODS: list[Mood] = ["refuses", "refuses for now", "drops", "garbage", "drops in the letter"]


@pytest.mark.parametrize("mood", MOODS)
async def test_mail_flows_again_after_a_server_that_misbehaved(hall: Hall, mood: Mood) -> None:
    hall.office.mood = mood
    lost_ones = [f"lost{n}@example.org" for n in range(8)]  # more than are carried at once
    for address in lost_ones:
        assert await hall.ask(address) == 200
    await until(lambda: hall.office.visits.get(mood, 0) >= len(lost_ones))
    if mood == "refuses":
        async with asyncio.timeout(PATIENCE_S):
            while await hall.metric("playhall_mails_lost_total") != len(lost_ones):
                await asyncio.sleep(0.05)
    hall.office.mood = "well"
    await hall.mailed("bo@example.org", to="bo@example.org")
    assert await hall.is_up()
    said = "\n".join(hall.node.output)
    assert "mail <" in said
    assert not any(address in said for address in lost_ones)


async def test_mail_into_a_folder_that_cannot_be_written_is_lost_and_the_node_stays(
    used_data_dir: Path,
) -> None:
    folder = used_data_dir.parent / "mail"
    folder.write_text("A file where the folder of mails should be.")
    with Node(used_data_dir.parent, None) as node:
        async with hall_at(node, PostOffice()) as hall:
            assert await hall.ask("ann@example.org") == 200
            await until(lambda: any("could not be sent" in line for line in node.output))
            assert await hall.is_up()
            folder.unlink()
            assert await hall.ask("bo@example.org") == 200
            await until(lambda: folder.is_dir() and len(list(folder.glob("*.eml"))) >= 1)
        assert node.stop() == 0
