"""Email and password: registering, signing in, forgetting, linking."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from argon2 import PasswordHasher

from server.core.rate_limits import Rate
from server.domains.people.accounts.password_limits import PasswordAttemptLimits
from tests.integration.accounts.conftest import Room
from tests.integration.accounts.ways import NO_LIMITS, PASSWORD, Client, Ways


@pytest.fixture
def ways(room: Room) -> Ways:
    return Ways(room)


@pytest.fixture
async def client(ways: Ways) -> AsyncIterator[Client]:
    async with ways.served() as client:
        yield client


@pytest.fixture
def email() -> str:
    return f"Ann.{uuid4().hex}@example.org"


async def test_whoever_has_the_mailbox_registers_and_signs_in(client: Client, email: str) -> None:
    tokens = await client.registered(email)
    status, again = await client.sign_in(email.swapcase())
    assert (status, again["user_id"]) == (200, tokens["user_id"])
    account = await client.ways.room.accounts.read_account(tokens["user_id"])
    assert not account.is_anonymous
    assert await client.methods(again["access_token"]) == [("email", email)]


async def test_answer_is_the_same_whether_or_not_there_is_an_account(
    client: Client, email: str
) -> None:
    unknown = await client.post("/v1/auth/email", email=f"no.{email}")
    await client.registered(email)
    known = await client.post("/v1/auth/email", email=email)
    assert unknown == known == (200, {"expires_in": 3600})
    nobody = await client.sign_in(f"no.{email}")
    wrong = await client.sign_in(email, "wrong password")
    assert nobody == wrong
    assert (nobody[0], nobody[1]["code"]) == (401, "wrong_credentials")


async def test_forgotten_password_is_replaced_and_every_session_ends(
    client: Client, email: str
) -> None:
    before = await client.registered(email)
    await client.post("/v1/auth/email", email=email)
    status, confirmed = await client.post(
        "/v1/auth/email/confirm", code=client.ways.code(), password="another one"
    )
    assert (status, confirmed["done"]) == (200, "password_changed")
    assert confirmed["tokens"]["user_id"] == before["user_id"]
    assert (await client.get("/v1/me/methods", token=before["access_token"]))[0] == 401
    refreshed = confirmed["tokens"]["access_token"]
    assert (await client.get("/v1/me/methods", token=refreshed))[0] == 200
    assert (await client.sign_in(email))[0] == 401
    assert (await client.sign_in(email, "another one"))[0] == 200


async def test_code_works_once_even_at_once(client: Client, email: str) -> None:
    await client.post("/v1/auth/email", email=email)
    code = client.ways.code()
    ask = {"code": code, "password": PASSWORD}
    answers = await asyncio.gather(
        *(client.post("/v1/auth/email/confirm", **ask) for _ in range(5))
    )
    assert sorted(status for status, _ in answers) == [200, 403, 403, 403, 403]
    assert {answer["code"] for status, answer in answers if status == 403} == {"bad_code"}


async def test_code_expires(client: Client, email: str) -> None:
    await client.post("/v1/auth/email", email=email)
    client.ways.room.clock.move(seconds=3601)
    status, answer = await client.post(
        "/v1/auth/email/confirm", code=client.ways.code(), password=PASSWORD
    )
    assert (status, answer["code"]) == (403, "bad_code")


async def test_short_password_is_refused_by_field_and_the_code_stays_good(
    client: Client, email: str
) -> None:
    await client.post("/v1/auth/email", email=email)
    code = client.ways.code()
    for body in ({"password": "short"}, {}):
        status, answer = await client.post("/v1/auth/email/confirm", code=code, **body)
        assert (status, answer["field"]) == (422, "password")
    assert (await client.post("/v1/auth/email/confirm", code=code, password=PASSWORD))[0] == 200


@pytest.mark.parametrize("email", ["ann", "ann@", "@example.org", "a b@example.org", "a@b", ""])
async def test_what_is_no_address_is_refused_in_words(client: Client, email: str) -> None:
    status, answer = await client.post("/v1/auth/email", email=email)
    assert (status, answer["field"]) == (422, "email")
    assert "name@example.org" in answer["message"]


async def test_guest_who_links_an_address_stays_who_they_are(client: Client, email: str) -> None:
    room = client.ways.room
    guest = await room.accounts.create_guest("Ann")
    token = guest.access_token
    assert (await client.post("/v1/me/methods/email", token=token, email=email))[0] == 200
    assert "wants to sign in with this address" in client.ways.letters[-1].text
    status, confirmed = await client.post(
        "/v1/auth/email/confirm", code=client.ways.code(), password=PASSWORD
    )
    assert (status, confirmed) == (200, {"done": "linked", "tokens": None})
    _, signed_in = await client.sign_in(email)
    assert (guest.user_id, guest.player_id) == (signed_in["user_id"], signed_in["player_id"])
    assert not (await room.accounts.read_account(signed_in["user_id"])).is_anonymous
    await room.accounts.authenticate(token)


async def test_address_of_another_account_cannot_be_linked(client: Client, email: str) -> None:
    await client.registered(email)
    guest = await client.ways.room.accounts.create_guest("Eve")
    await client.post("/v1/me/methods/email", token=guest.access_token, email=email)
    status, answer = await client.post(
        "/v1/auth/email/confirm", code=client.ways.code(), password="of eve's own"
    )
    assert (status, answer["code"]) == (409, "method_taken")
    assert (await client.sign_in(email))[0] == 200


async def test_address_changes_with_the_password_and_the_old_one_is_notified(
    client: Client, email: str
) -> None:
    token = (await client.registered(email))["access_token"]
    new = f"new.{email}"
    refused = await client.post("/v1/me/methods/email", token=token, email=new, password="wrong")
    assert (refused[0], refused[1]["code"]) == (401, "wrong_credentials")
    await client.post("/v1/me/methods/email", token=token, email=new, password=PASSWORD)
    assert (await client.post("/v1/auth/email/confirm", code=client.ways.code()))[0] == 200
    assert (await client.sign_in(new))[0] == 200
    assert (await client.sign_in(email))[0] == 401
    assert client.ways.letters[-1].to == email
    assert "a different email address" in client.ways.letters[-1].text


async def test_changed_password_ends_the_other_sessions_only(client: Client, email: str) -> None:
    here = (await client.registered(email))["access_token"]
    there = (await client.sign_in(email))[1]["access_token"]
    change = {"password": PASSWORD, "new_password": "another one"}
    assert await client.post("/v1/me/password", token=here, **change) == (200, {"ended": 1})
    assert (await client.get("/v1/me/methods", token=here))[0] == 200
    assert (await client.get("/v1/me/methods", token=there))[0] == 401
    assert (await client.sign_in(email, "another one"))[0] == 200


@pytest.mark.parametrize("end", ["password", "forgotten", "everywhere", "that session"])
async def test_whoever_was_locked_out_links_nothing_by_a_code_from_before(
    client: Client, email: str, end: str
) -> None:
    here = (await client.registered(email))["access_token"]
    thief = (await client.sign_in(email))[1]["access_token"]
    theirs = f"thief.{email}"
    await client.post("/v1/me/methods/email", token=thief, email=theirs, password=PASSWORD)
    code = client.ways.code()
    if end == "password":
        change = {"password": PASSWORD, "new_password": "another one"}
        await client.post("/v1/me/password", token=here, **change)
    elif end == "forgotten":
        await client.post("/v1/auth/email", email=email)
        forgotten = client.ways.code()
        await client.post("/v1/auth/email/confirm", code=forgotten, password="another one")
    elif end == "everywhere":
        await client.post("/v1/auth/logout-everywhere", token=here)
    else:
        _, listed = await client.get("/v1/me/sessions", token=thief)
        (session_id,) = [one["session_id"] for one in listed["sessions"] if one["is_this"]]
        await client.delete(f"/v1/me/sessions/{session_id}", token=here)
    assert (await client.get("/v1/me/methods", token=thief))[0] == 401
    status, answer = await client.post("/v1/auth/email/confirm", code=code)
    assert (status, answer["code"]) == (403, "bad_code")


async def test_address_that_was_linked_first_is_not_replaced_without_its_password(
    client: Client, email: str
) -> None:
    guest = await client.ways.room.accounts.create_guest("Ann")
    codes = []
    for address in (f"other.{email}", email):
        await client.post("/v1/me/methods/email", token=guest.access_token, email=address)
        codes.append(client.ways.code())
    other, own = codes
    ask = {"code": own, "password": PASSWORD}
    assert (await client.post("/v1/auth/email/confirm", **ask))[0] == 200
    status, answer = await client.post("/v1/auth/email/confirm", code=other)
    assert (status, answer["code"]) == (403, "bad_code")
    assert await client.methods(guest.access_token) == [("email", email)]


async def test_last_method_cannot_be_unlinked(client: Client, email: str) -> None:
    token = (await client.registered(email))["access_token"]
    status, answer = await client.delete("/v1/me/methods/email", token=token)
    assert (status, answer["code"]) == (409, "last_method")
    assert (await client.delete("/v1/me/methods/discord", token=token))[0] == 404
    assert (await client.sign_in(email))[0] == 200


async def test_guessing_is_slowed_by_account_and_mailing_by_address(room: Room, email: str) -> None:
    limits = PasswordAttemptLimits()._replace(account_from_network=Rate(0.001, burst=3))
    ways = Ways(room, mail_rate=Rate(0.001, burst=2), limits=limits)
    async with ways.served() as client:
        mails = [(await client.post("/v1/auth/email", email=email))[0] for _ in range(3)]
        guesses = [(await client.sign_in(email, f"guess {n}"))[1]["code"] for n in range(4)]
    assert mails == [200, 200, 429]
    assert guesses == [*["wrong_credentials"] * 3, "rate_limited"]


ONCE_IN_LONG = Rate(per_minute=0.001, burst=1)
NEVER = Rate(per_minute=0.001, burst=0)


async def test_guesses_from_anywhere_do_not_lock_the_owner_out(room: Room, email: str) -> None:
    """By a network of their own, each guess is let through until the wide limit is reached."""
    limits = NO_LIMITS._replace(
        account_from_network=Rate(0.001, burst=3),
        account_from_unknown_networks=Rate(0.001, burst=20),
    )
    async with Ways(room, limits=limits).served() as client:
        await client.registered(email)
        for n in range(12):
            assert (await client.at(f"198.51.100.{n}").sign_in(email, "wrong"))[0] == 401
        assert (await client.at("203.0.113.1").sign_in(email))[0] == 200
        guesses = [
            (await client.at(f"203.0.113.{n}").sign_in(email, "wrong"))[1] for n in range(20, 30)
        ]
        assert [guess["code"] for guess in guesses] == [
            *["wrong_credentials"] * 7,
            *["rate_limited"] * 3,
        ]
        assert "/v1/auth/email" in guesses[-1]["message"]
        assert (await client.sign_in(email))[0] == 200, "a network where the owner registered"
        assert (await client.at("203.0.113.1").sign_in(email))[0] == 200, "or signed in"


async def test_owner_who_is_elsewhere_chooses_a_new_password_by_mail(
    room: Room, email: str
) -> None:
    limits = NO_LIMITS._replace(account_from_unknown_networks=NEVER)
    async with Ways(room, limits=limits).served() as client:
        await client.registered(email)
        away = client.at("203.0.113.1")
        assert (await away.sign_in(email))[1]["code"] == "rate_limited"
        await away.registered(email, "another one")
        assert (await away.sign_in(email, "another one"))[0] == 200


async def test_answer_is_the_same_for_an_unknown_address_beyond_the_limits(
    room: Room, email: str
) -> None:
    limits = NO_LIMITS._replace(account_from_unknown_networks=ONCE_IN_LONG)
    async with Ways(room, limits=limits).served() as client:
        await client.registered(email)
        away = client.at("203.0.113.1")
        answers = [
            [(await away.sign_in(who, "no"))[1]["code"] for _ in range(2)]
            for who in (email, f"no.{email}")
        ]
    assert answers == [["wrong_credentials", "rate_limited"]] * 2


async def test_thief_of_a_session_guesses_in_it_alone(room: Room, email: str) -> None:
    async with Ways(
        room, limits=NO_LIMITS._replace(session=Rate(0.001, burst=2))
    ).served() as client:
        here = (await client.registered(email))["access_token"]
        stolen = (await client.sign_in(email))[1]["access_token"]
        guess = {"password": "guess", "new_password": "another one"}
        codes = [
            (await client.post("/v1/me/password", token=stolen, **guess))[1]["code"]
            for _ in range(3)
        ]
        assert codes == ["wrong_credentials", "wrong_credentials", "rate_limited"]
        change = {"password": PASSWORD, "new_password": "another one"}
        assert (await client.post("/v1/me/password", token=here, **change))[0] == 200


async def test_what_refuses_a_code_is_asked_before_a_password_is_hashed(
    room: Room, email: str
) -> None:
    """Nothing may be hashed here, so that each refusal must come from before that."""
    async with Ways(room).served() as client:
        await client.registered(email)
    async with Ways(room, limits=NO_LIMITS._replace(code=NEVER)).served() as client:
        confirm = "/v1/auth/email/confirm"
        assert (await client.post(confirm, code="x" * 43, password=PASSWORD))[1][
            "code"
        ] == "bad_code"
        guest = await room.accounts.create_guest("Eve")
        await client.post("/v1/me/methods/email", token=guest.access_token, email=email)
        taken = {"code": client.ways.code(), "password": PASSWORD}
        assert (await client.post(confirm, **taken))[1]["code"] == "method_taken"
        await client.post("/v1/auth/email", email=f"new.{email}")
        good = {"code": client.ways.code(), "password": PASSWORD}
        assert (await client.post(confirm, **good))[1]["code"] == "rate_limited"


async def test_codes_are_tried_from_one_network_a_few_times(room: Room) -> None:
    limits = NO_LIMITS._replace(network=Rate(0.001, burst=2))
    async with Ways(room, limits=limits).served() as client:
        tries = [
            (await client.post("/v1/auth/email/confirm", code="x" * 43, password=PASSWORD))[0]
            for _ in range(3)
        ]
        assert tries == [403, 403, 429]
        elsewhere = client.at("203.0.113.1")
        assert (await elsewhere.post("/v1/auth/email/confirm", code="x", password=PASSWORD))[
            0
        ] == 403


@pytest.mark.parametrize(
    ("chosen", "typed"),
    [
        ("p\u00e4ssw\u00f6rter", "pa\u0308sswo\u0308rter"),
        ("pa\u0308sswo\u0308rter", "p\u00e4ssw\u00f6rter"),
        ("two words", "two\u00a0words"),
        ("two\u3000words", "two words"),
        ("\u1ec7" * 120, "e\u0323\u0302" * 120),
        ("e\u0323\u0302" * 120, "\u1ec7" * 120),
    ],
)
async def test_password_is_the_same_in_every_unicode_form(
    client: Client, email: str, chosen: str, typed: str
) -> None:
    token = (await client.registered(email, chosen))["access_token"]
    assert (await client.sign_in(email, typed))[0] == 200
    change = {"password": typed, "new_password": f"new {chosen}"}
    assert (await client.post("/v1/me/password", token=token, **change))[0] == 200
    assert (await client.sign_in(email, f"new {typed}"))[0] == 200
    assert (await client.sign_in(email, f"other {typed}"))[0] == 401


async def test_password_that_was_hashed_as_it_was_typed_still_signs_in(
    client: Client, email: str
) -> None:
    typed = "pa\u0308sswo\u0308rter"
    tokens = await client.registered(email)
    async with client.ways.room.database.acquire() as connection:
        await connection.execute(
            "UPDATE playhall_auth.methods SET password_hash = $1 WHERE user_id = $2",
            PasswordHasher().hash(typed),
            tokens["user_id"],
        )
    assert (await client.sign_in(email, typed))[0] == 200
    assert (await client.sign_in(email, PASSWORD))[0] == 401


async def test_password_too_short_once_its_accents_are_composed_is_refused(
    client: Client, email: str
) -> None:
    await client.post("/v1/auth/email", email=email)
    short = {"code": client.ways.code(), "password": "a\u0308o\u0308u\u0308e\u0308"}
    status, answer = await client.post("/v1/auth/email/confirm", **short)
    assert (status, answer["field"]) == (422, "password")


async def test_database_has_no_address_and_no_password_in_the_clear(
    client: Client, email: str
) -> None:
    tokens = await client.registered(email)
    async with client.ways.room.database.acquire() as connection:
        rows = await connection.fetch(
            "SELECT m::text, u::text FROM playhall_auth.methods m"
            " JOIN auth.users u ON u.id = m.user_id WHERE u.id = $1",
            tokens["user_id"],
        )
    stored = str(rows)
    assert len(rows) == 1
    for said in (email, email.lower(), PASSWORD):
        assert said not in stored
        assert said.encode().hex() not in stored
    assert "$argon2id$" in stored


async def test_refused_address_is_explained_in_whole_sentences(client: Client) -> None:
    status, body = await client.post("/v1/auth/email", email="ann@example.org,")
    assert (status, body["field"]) == (422, "email")
    assert body["message"].endswith(".")
    assert ".." not in body["message"]
