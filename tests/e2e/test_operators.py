"""What operators find, read and end, over HTTP, by the command line and on the page `/admin`."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import psycopg
import pytest

from tests.e2e.test_pages_in_a_browser import check
from tests.faults.client_line import Closed, Guest, Json, Line, lines, new_guests, sit_down, until
from tests.fixtures.browser import CHROMIUM, Browser, Page
from tests.fixtures.http import bearer
from tests.fixtures.node import SECRET_KEYS, Node
from tests.fixtures.postgres import TEMPLATE, Databases
from tests.fixtures.shell import playhall

pytestmark = pytest.mark.xdist_group("operators")

RULESETS = Path(__file__).parent / "rulesets"
ROLES = ("moderator", "support", "editor", "admin")
# Whom a scope lets in; anybody else is refused.
ALLOWED = {
    "moderator": {"moderator", "admin"},
    "support": {"support", "admin"},
    "editor": {"editor", "admin"},
    "admin": {"admin"},
}
NOBODY = "00000000-0000-4000-8000-000000000000"


class Hall(NamedTuple):
    """A node, its database as the owner's, and an account of each role."""

    node: Node
    dsn: str
    settings: dict[str, str]
    staff: dict[str, Guest]

    def sql(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            found = connection.execute(query, parameters)
            return found.fetchall() if found.description else []

    async def ask(
        self, verb: str, path: str, role: str = "admin", **body: object
    ) -> tuple[int, Any]:
        headers = bearer(self.staff[role].token) if role in self.staff else {}
        async with (
            aiohttp.ClientSession(self.node.url, headers=headers) as web,
            web.request(verb, path, json=body if verb != "GET" else None) as answer,
        ):
            return answer.status, await answer.json()

    async def good(self, verb: str, path: str, role: str = "admin", **body: object) -> Any:
        status, answer = await self.ask(verb, path, role, **body)
        assert status == 200, answer
        return answer

    async def acts(self, target: object) -> list[tuple[str, str]]:
        page = await self.good("GET", f"/v1/admin/audit?target={target}")
        return [(act["action"], act["actor"]) for act in page["acts"]]


@pytest.fixture(scope="module")
def hall(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hall]:
    dsn = databases.create(template=TEMPLATE)
    serving = databases.serving_dsn(dsn)
    settings = {"PLAYHALL_DATABASE_URL": serving, "PLAYHALL_SECRET_KEYS": SECRET_KEYS}
    # A game whose owner is stopped by the command line must be noticed without another node.
    node = Node(
        tmp_path_factory.mktemp("node"),
        serving,
        rulesets_path=RULESETS,
        lobby_graze_s="3",
        ai_url="https://somebody:hunter2@ai.example/v1",
        ai_key="sk-secret",
    )
    with node:
        guests = asyncio.run(new_guests(node, len(ROLES) + 1))
        staff = dict(zip((*ROLES, "player"), guests, strict=True))
        for role in ROLES:
            node.grant(staff[role].session["user_id"], role)
        yield Hall(node, dsn, settings, staff)
    databases.drop(dsn)


@pytest.fixture
async def table(hall: Hall) -> AsyncIterator[list[Line]]:
    """Two players, signed in and connected."""
    async with lines(hall.node, await new_guests(hall.node, 2)) as both:
        yield both


async def stuck_game(hall: Hall, table: list[Line]) -> str:
    """Have the rules of a game fail, so that it is quarantined."""
    game_id = await sit_down(table, "brittle")
    for line in table:
        await line.ok("game.resume", game_id=game_id)
    reply = await table[0].call("game.act", game_id=game_id, cmd_no=1, move={"type": "evolve"})
    assert reply["code"] == "quarantined"

    async def is_stored() -> bool:
        return bool((await hall.good("GET", f"/v1/games/{game_id}"))["quarantined"])

    await until(is_stored)
    return game_id


async def stopped(line: Line, game_id: str) -> Json:
    """Read until a line is told that a game was stopped."""
    while True:
        for update in line.updates:
            if update["type"] == "game.stopped" and update["game_id"] == game_id:
                return update
        await line.read()


# ------------------------------------------------------------------ who may do what


async def test_every_address_with_a_scope_refuses_everybody_below_it(hall: Hall) -> None:
    document = await hall.good("GET", "/openapi.json")
    tried = 0
    for path, operations in document["paths"].items():
        for verb, operation in operations.items():
            (scope,) = [*(operation.get("security") or [{}])[-1].get("bearer", []), None][:1]
            if scope not in ALLOWED:
                assert not path.startswith("/v1/admin/"), path
                continue
            address = re.sub(r"\{[^}]+\}", NOBODY, path)
            assert (await hall.ask(verb.upper(), address, "nobody"))[0] == 401, (verb, path)
            for role in {*ROLES, "player"} - ALLOWED[scope]:
                status, refused = await hall.ask(verb.upper(), address, role)
                assert (status, refused["code"]) == (403, "forbidden"), (verb, path, role)
                tried += 1
    assert tried > 100


async def test_accounts_can_read_their_own_roles(hall: Hall) -> None:
    assert (await hall.good("GET", "/v1/me/roles", "editor"))["roles"] == ["editor"]
    assert (await hall.good("GET", "/v1/me/roles", "player"))["roles"] == []


# ------------------------------------------------------------------ games


async def test_stuck_game_is_found_explained_and_ended_on_record(
    hall: Hall, table: list[Line]
) -> None:
    game_id = await stuck_game(hall, table)
    listed = await hall.good("GET", "/v1/admin/games?state=quarantined", "moderator")
    assert game_id in [game["game_id"] for game in listed["games"]]
    found = await hall.good("GET", f"/v1/admin/games/{game_id}", "moderator")
    assert found["game"]["problem"].startswith("It is quarantined: brittle failed in evolve")
    assert "in evolve" in found["quarantine_trace"]
    assert found["quarantine_trace"].startswith("Traceback")

    log = await hall.good("GET", f"/v1/admin/games/{game_id}/log?limit=1")
    assert [event["event_index"] for event in log["events"]] == [log["head"]]
    assert (await hall.ask("POST", f"/v1/admin/games/{game_id}/end", reason=" "))[0] == 422
    ended = await hall.good("POST", f"/v1/admin/games/{game_id}/end", reason="Its rules broke.")
    assert (ended["game"]["state"], ended["game"]["end_reason"]) == ("ended", "Its rules broke.")

    status, again = await hall.ask("POST", f"/v1/admin/games/{game_id}/end", reason="Again.")
    assert (status, again["code"]) == (409, "game_over")
    status, again = await hall.ask("POST", f"/v1/admin/games/{game_id}/release", reason="No.")
    assert (status, again["code"]) == (409, "game_over")
    refused = await table[0].call("game.resume", game_id=game_id)
    assert refused["message"] == "An operator ended this game: Its rules broke."
    assert (refused["code"], refused["retry"]) == ("quarantined", False)
    me = hall.staff["admin"].session["user_id"]
    assert await hall.acts(game_id) == [("end_game", me), ("read_game_log", me)]
    page = await hall.good("GET", f"/v1/admin/audit?action=end_game&actor={me}&target={game_id}")
    (act,) = page["acts"]
    assert act["after"] == {"status": "ended", "reason": "Its rules broke."}
    assert act["before"]["quarantine"]["reason"].startswith("brittle failed in evolve")


async def test_running_game_that_is_ended_stops_for_everybody_at_once(
    hall: Hall, table: list[Line]
) -> None:
    game_id = await sit_down(table, "four_in_a_row")
    lobby_id = hall.sql("SELECT lobby_id::text FROM games WHERE id = %s", game_id)[0][0]
    for line in table:
        await line.ok("game.resume", game_id=game_id)
    seen = await hall.good("GET", f"/v1/admin/games/{game_id}", "moderator")
    assert (seen["game"]["state"], seen["game"]["problem"]) == ("running", None)
    assert (seen["is_here"], seen["followers"], len(seen["seats"])) == (True, 2, 2)
    assert [seat["is_to_move"] for seat in seen["seats"]].count(True) == 1
    assert seen["view"] is not None

    await hall.good("POST", f"/v1/admin/games/{game_id}/end", reason="A test.")
    for line in table:
        update = await stopped(line, game_id)
        assert update["message"] == "An operator ended this game: A test."
    late = await table[0].call("game.act", game_id=game_id, cmd_no=1, move={"column": 3})
    assert late["code"] == "quarantined"
    assert (await hall.good("GET", f"/v1/lobbies/{lobby_id}"))["status"] == "CLOSED"
    listed = await hall.good("GET", "/v1/games?limit=100")
    assert game_id not in [game["game_id"] for game in listed["games"]]
    verified = await asyncio.to_thread(playhall, "verify", game_id, environment=hall.settings)
    assert verified.status == 0, verified.said
    assert "an operator ended the game: A test." in verified.out


async def test_what_was_acknowledged_before_the_end_is_in_the_log_and_nothing_comes_after(
    hall: Hall, table: list[Line]
) -> None:
    game_id = await sit_down(table, "relay")
    for line in table:
        await line.ok("game.resume", game_id=game_id)
    acknowledged: set[int] = set()
    ending: asyncio.Task[Any] | None = None
    with suppress(Closed):  # whoever is hung up on comes back, and is told
        for cmd_no in count(1):
            reply = await table[0].call(
                "game.act", game_id=game_id, cmd_no=cmd_no, move={"n": cmd_no}
            )
            if reply["type"] != "ok":
                assert reply["code"] == "quarantined"
                break
            acknowledged.add(reply["event_index"])
            if cmd_no == 20:
                path = f"/v1/admin/games/{game_id}/end"
                ending = asyncio.create_task(hall.good("POST", path, reason="A race."))
    assert ending is not None
    head = (await ending)["game"]["head"]
    logged = hall.sql(
        "SELECT event_index, created_at FROM game_events WHERE game_id = %s ORDER BY 1", game_id
    )
    assert [index for index, _ in logged] == [*range(len(logged))]
    assert len(acknowledged) >= 20
    assert acknowledged <= {index for index, _ in logged}
    assert head == len(logged) - 1


async def test_released_game_is_played_on(hall: Hall, table: list[Line]) -> None:
    game_id = await stuck_game(hall, table)
    await hall.good("POST", f"/v1/admin/games/{game_id}/release", reason="The rules are mended.")
    assert (await hall.acts(game_id))[0][0] == "release_game"

    async def is_back() -> bool:
        reply = await table[1].call("game.resume", game_id=game_id)
        return bool(reply["type"] == "ok")

    await until(is_back)
    await table[0].ok("game.resume", game_id=game_id)
    await table[0].ok("game.act", game_id=game_id, cmd_no=1, move={"type": "fine"})


async def test_command_line_lists_explains_and_ends_games_of_a_running_node(
    hall: Hall, table: list[Line]
) -> None:
    game_id = await sit_down(table, "four_in_a_row")
    for line in table:
        await line.ok("game.resume", game_id=game_id)

    async def games(*arguments: str, status: int = 0) -> str:
        done = await asyncio.to_thread(playhall, "games", *arguments, environment=hall.settings)
        assert done.status == status, done.said
        done.assert_plain()
        return done.said

    assert game_id in await games("list", "--state", "running", "--ruleset", "four_in_a_row")
    said = await games("list", "--limit", "1")
    (last,) = re.findall(r"--after (\S+)", said)
    assert last not in await games("list", "--after", last)
    assert f"game {game_id}" in await games("inspect", game_id)
    ended = await games("end", game_id, "--reason", "By the console.")
    assert f"{game_id} four_in_a_row ended" in ended
    # The node finds it in the database, whoever ended it.
    update = await stopped(table[0], game_id)
    assert update["message"] == "An operator ended this game: By the console."
    assert await hall.acts(game_id) == [("end_game", "console")]
    assert "ended this game already" in await games("end", game_id, "--reason", "x", status=1)
    assert "There is no game" in await games("inspect", NOBODY, status=1)
    assert "There is no game" in await games("inspect", "me", status=1)


# ------------------------------------------------------------------ lobbies and accounts


async def test_private_lobby_is_found_and_closed_with_a_reason(
    hall: Hall, table: list[Line]
) -> None:
    host, guest = table
    opened = (
        await host.ok("lobby.create", ruleset="four_in_a_row", is_public=False, name="Rude name")
    )["lobby"]
    lobby_id = opened["lobby_id"]
    await guest.ok("lobby.join", code=opened["join_code"])
    listed = await hall.good("GET", "/v1/admin/lobbies?text=rude&status=OPEN", "moderator")
    (found,) = listed["lobbies"]
    assert (found["lobby_id"], found["is_public"], found["players"]) == (lobby_id, False, 2)
    path = f"/v1/admin/lobbies/{lobby_id}/close"
    assert (await hall.ask("POST", path, "moderator"))[0] == 422
    closed = await hall.good("POST", path, "moderator", reason="Its name.")
    assert closed["status"] == "CLOSED"
    while (await guest.read()).get("change", {}).get("kind") != "closed":
        pass
    assert guest.updates[-1]["change"]["reason"] == "closed_by_operator"
    assert [action for action, _ in await hall.acts(lobby_id)] == ["close_lobby"]
    game_id = await sit_down(table, "four_in_a_row")
    (lobby,) = hall.sql("SELECT lobby_id::text FROM games WHERE id = %s", game_id)[0]
    status, refused = await hall.ask("POST", f"/v1/admin/lobbies/{lobby}/close", reason="x")
    assert (status, refused["code"]) == (409, "lobby_closed")


async def test_accounts_are_found_by_any_name_page_by_page(hall: Hall) -> None:
    guests = await new_guests(hall.node, 3)
    ids = [guest.session["user_id"] for guest in guests]
    for number, user_id in enumerate(ids):
        hall.sql(
            "UPDATE players SET display_name = %s WHERE user_id = %s", f"Zoë {number}", user_id
        )
    first = await hall.good("GET", "/v1/admin/users?text=zo%C3%AB&limit=2", "moderator")
    rest = await hall.good(
        "GET", f"/v1/admin/users?text=zo%C3%AB&limit=2&cursor={first['next']}", "moderator"
    )
    people = [*first["people"], *rest["people"]]
    assert {person["user_id"] for person in people} == {*ids}
    assert [each["username"] for each in people] == sorted(each["username"] for each in people)
    by_id = await hall.good("GET", f"/v1/admin/users?text={guests[0].player_id}", "moderator")
    assert [person["user_id"] for person in by_id["people"]] == ids[:1]
    wallet = "0x" + "ab" * 20
    hall.sql("INSERT INTO wallets (address, user_id) VALUES (%s, %s)", wallet, ids[1])
    by_wallet = await hall.good("GET", f"/v1/admin/users?text={wallet.upper()}", "moderator")
    assert [person["user_id"] for person in by_wallet["people"]] == ids[1:2]
    admins = await hall.good("GET", "/v1/admin/users?role=admin")
    assert [each["user_id"] for each in admins["people"]] == [
        hall.staff["admin"].session["user_id"]
    ]
    await hall.good("POST", f"/v1/admin/users/{ids[0]}/ban", "moderator", reason="x")
    banned = await hall.good("GET", "/v1/admin/users?is_banned=true&text=zo%C3%AB", "moderator")
    assert [person["user_id"] for person in banned["people"]] == ids[:1]
    assert (await hall.good("GET", "/v1/admin/users?method=email"))["people"] == []
    done = await asyncio.to_thread(
        playhall, "accounts", "find", "zoë", "--limit", "2", environment=hall.settings
    )
    assert f"--after {people[1]['username']}" in done.said


async def test_sessions_of_an_account_are_listed_and_ended(hall: Hall, table: list[Line]) -> None:
    (guest,) = await new_guests(hall.node, 1)
    user_id = guest.session["user_id"]
    async with lines(hall.node, [guest]) as (line,):
        path = f"/v1/admin/users/{user_id}/sessions"
        (session,) = (await hall.good("GET", path))["sessions"]
        assert session["method"] == "guest"
        ended = await hall.good("POST", f"{path}/end", reason="A lost phone.")
        assert ended == {"ended": 1}
        await line.end()
    assert (await hall.good("GET", path))["sessions"] == []
    assert [action for action, _ in await hall.acts(user_id)] == ["end_sessions"]


# ------------------------------------------------------------------ the server


async def test_nodes_jobs_outbox_and_settings_are_shown_to_admins(hall: Hall) -> None:
    nodes = await hall.good("GET", "/v1/admin/nodes")
    (node,) = nodes["nodes"]
    assert (node["is_this"], node["is_alive"]) == (True, True)

    async def retention() -> Json:
        jobs = (await hall.good("GET", "/v1/admin/jobs"))["jobs"]
        (job,) = [each for each in jobs if each["name"] == "retention"]
        return job  # type: ignore[no-any-return]  # of JSON

    before = await retention()
    await hall.good("POST", "/v1/admin/jobs/run", name="retention")

    async def has_run() -> bool:
        job = await retention()
        return bool(job["runs"] > before["runs"] and job["last_error"] is None)

    await until(has_run)
    assert (await hall.acts("retention"))[0][0] == "run_job"
    shared = (await hall.good("GET", "/v1/admin/jobs"))["shared"]
    await hall.good("POST", "/v1/admin/jobs/run", name=shared[0]["name"])
    assert (await hall.ask("POST", "/v1/admin/jobs/run", name="dishes"))[0] == 404

    hall.sql(
        "INSERT INTO event_outbox (name, version, payload, attempts, dead_at, last_error) "
        "VALUES ('of.no.listener', 1, '{}', 16, now(), 'it failed')"
    )
    page = await hall.good("GET", "/v1/admin/outbox")
    (event,) = page["events"]
    assert (page["dead"], event["last_error"]) == (1, "it failed")
    page = await hall.good("POST", f"/v1/admin/outbox/{event['event_id']}/retry")
    assert (page["dead"], page["events"]) == (0, [])
    assert (await hall.acts(event["event_id"]))[0][0] == "retry_event"
    hall.sql("DELETE FROM event_outbox WHERE name = 'of.no.listener'")


async def test_settings_say_where_they_come_from_and_hide_secrets(hall: Hall) -> None:
    answer = await hall.good("GET", "/v1/admin/settings")
    settings = {each["name"]: each for each in answer["settings"]}
    assert settings["PLAYHALL_PORT"]["source"] == "environment"
    assert settings["PLAYHALL_HOST"] | {"description": ""} == {
        "name": "PLAYHALL_HOST",
        "value": "127.0.0.1",
        "default": "127.0.0.1",
        "source": "default",
        "is_secret": False,
        "domain": None,
        "description": "",
    }
    assert settings["PLAYHALL_LEASE_S"]["domain"] == "games"
    for name in ("PLAYHALL_AI_KEY", "PLAYHALL_DATABASE_URL", "PLAYHALL_SECRET_KEYS"):
        assert settings[name]["value"] == "********"
    assert settings["PLAYHALL_AI_URL"]["value"] == "https://********@ai.example/v1"
    for secret in ("hunter2", "sk-secret", SECRET_KEYS.partition(":")[2]):
        assert secret not in str(answer)
    unread = {each["name"]: each["meant"] for each in answer["unread"]}
    assert unread["PLAYHALL_LOBBY_GRAZE_S"] == "PLAYHALL_LOBBY_GRACE_S"
    assert any("did you mean PLAYHALL_LOBBY_GRACE_S?" in line for line in hall.node.output)


# ------------------------------------------------------------------ the page

WHO = "(async () => (await (await import('/static/site.js')).ensureSession()).user_id)()"


async def key_to(page: Page, selector: str) -> None:
    """Go on by the tab key until an element has the focus."""
    for _ in range(200):
        if await page.run(f"document.activeElement.matches({selector!r})"):
            return
        await page.press("Tab")
    at = await page.run("document.activeElement.outerHTML.slice(0, 300)")
    raise AssertionError(f"the keyboard does not reach {selector}, but {at}")


def shows(text: str) -> str:
    return f"document.querySelector('main').innerText.includes({text!r})"


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
async def test_operator_ends_a_stuck_game_by_keyboard_and_moderators_see_less(
    hall: Hall, table: list[Line], chromium: Browser
) -> None:
    game_id = await stuck_game(hall, table)
    async with chromium.person(f"{hall.node.url}/admin") as page:
        await page.until(shows("Sign in with an account that has a role"))
        user_id = await page.run(WHO)
        await page.until(shows(f"playhall accounts grant {user_id} admin"))

        await asyncio.to_thread(hall.node.grant, user_id, "moderator")
        await page.reload()
        await page.until(shows(game_id[:8]))
        tabs = await page.run("[...document.querySelectorAll('.tabs a')].map(a => a.hash)")
        assert tabs == ["#games", "#lobbies", "#accounts", "#moderation"]
        await page.go(f"{hall.node.url}/admin#settings")
        await page.until("document.querySelector('.tabs [aria-current]').hash === '#games'")
        await page.go(f"{hall.node.url}/admin#games/{game_id}")
        await page.until(shows("It is quarantined: brittle failed in evolve"))
        assert await page.run("document.querySelector('[data-key=end]') === null")

        await asyncio.to_thread(hall.node.grant, user_id, "admin")
        await page.go(f"{hall.node.url}/admin#games")
        await page.until("location.hash === '#games'")  # or the game's own address is loaded again
        await page.reload()
        await page.until(shows("Settings"))
        await page.until(shows(game_id[:8]))
        await key_to(page, f"a[href='#games/{game_id}']")
        await page.press("Enter")
        await page.until(shows("It is quarantined: brittle failed in evolve"))
        await key_to(page, "summary")
        await page.press("Enter")
        await page.until(shows("Traceback (most recent call last)"))
        await key_to(page, "[data-key=end]")
        await page.press("Enter")
        await page.until("document.activeElement.id === 'ask-reason'")
        await key_to(page, "dialog button[value=yes]")
        await page.press("Enter")  # refused: there is no reason yet
        assert await page.run("document.querySelector('dialog[open]') !== null")
        await page.run("document.querySelector('#ask-reason').focus()")
        await page.write("Nobody can move.")
        await key_to(page, "dialog button[value=yes]")
        await page.press("Enter")
        await page.until(shows("An operator ended it: Nobody can move."))

        await key_to(page, ".tabs a[href='#audit']")
        await page.press("Enter")
        await page.until(shows("end_game"))
        assert await page.run(shows("Nobody can move."))
        assert await hall.acts(game_id) == [("end_game", user_id)]
        for section in ("lobbies", "accounts", "moderation", "nodes", "jobs", "outbox"):
            await section_is_drawn(page, section)
        for section in ("webhooks", "epochs", "content", "ledger", "settings"):
            await section_is_drawn(page, section)
        assert await page.run(shows("did you mean PLAYHALL_LOBBY_GRACE_S?"))
        await page.go(f"{hall.node.url}/admin#accounts/{user_id}")
        await page.until(shows("End all sessions"))
        assert await page.run("document.querySelector('[role=alert]').innerText") == ""

        await page.run("sessionStorage.clear()")  # what the tab knew of roles from before
        await page.go(f"{hall.node.url}/lobbies")
        await page.until("document.querySelector('site-header [data-console]') !== null")


async def section_is_drawn(page: Page, section: str) -> None:
    await page.run(f"location.hash = {section!r}")
    await page.until(
        f"document.querySelector('.tabs [aria-current]').hash === '#{section}'"
        "&& document.querySelector('section [aria-busy]') === null"
    )
    shown = await page.run("document.querySelector('main').innerText")
    assert "Try again" not in shown, shown


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
@pytest.mark.long("half a minute")
async def test_console_is_accessible_and_fits_in_every_look(
    hall: Hall, table: list[Line], chromium: Browser, axe: str
) -> None:
    game_id = await stuck_game(hall, table)
    await sit_down(table, "four_in_a_row")
    async with chromium.person(f"{hall.node.url}/admin") as page:
        await page.until(shows("Sign in with an account that has a role"))
        user_id = await page.run(WHO)
        await page.until(shows("accounts grant"))
        await asyncio.to_thread(hall.node.grant, user_id, "admin")
        await page.reload()
        await page.until(shows(game_id[:8]))
        await check(page, "admin-games", axe)
        await page.run(f"location.hash = 'games/{game_id}'")
        await page.until(shows("It is quarantined: brittle failed in evolve"))
        await check(page, "admin-game", axe)
        await page.click("[data-key=end]")
        await page.until("document.activeElement.id === 'ask-reason'")
        await page.write("Its rules cannot go on from here.")
        await check(page, "admin-end", axe)
        await page.click("dialog button[value=yes]")
        await page.until(shows("An operator ended it"))
        await page.run(f"location.hash = 'accounts/{user_id}'")
        await page.until(shows("End all sessions"))
        await check(page, "admin-account", axe)
        for section in ("settings", "jobs", "audit"):
            await section_is_drawn(page, section)
            await check(page, f"admin-{section}", axe)
