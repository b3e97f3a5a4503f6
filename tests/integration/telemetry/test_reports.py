"""Reports over HTTP, of events that were sent over HTTP."""

import asyncio
import csv
import io
from datetime import timedelta
from xml.etree import ElementTree

from tests.fixtures.shell import playhall
from tests.integration.telemetry.conftest import Json, Node, Person

REPORTS = "/v1/admin/telemetry/reports"
DAY = timedelta(days=1)


async def _played(node: Node) -> Person:
    """Ten players of a heist: some stop on the way, some choose twice, one opts out."""
    players = [await node.person() for _ in range(11)]
    for number, who in enumerate(players):
        ago = timedelta(days=9) if number < 4 else timedelta(hours=2)
        reached = 1 if number < 2 else 2 if number < 6 else 3
        steps = [
            {"quest": "heist", "step": name, "order": place}
            for place, name in enumerate(("plan", "=crew()", "vault"))
        ]
        events: list[Json] = [
            node.step(ago=ago - timedelta(minutes=place), payload=steps[place])
            for place in range(reached)
        ]
        for place, option in enumerate(("cash", "crew") if number < 3 else ("crew", "cash")):
            payload = {"choice": "loot", "option": option, "tone": "satire"}
            moment = ago - timedelta(minutes=place)
            events.append(node.step(event_type="choice", payload=payload, ago=moment))
        payload = {"chapter": "one", "order": 1, "seconds": 60 * (number + 1)}
        events.append(node.step(event_type="chapter", payload=payload, ago=ago))
        events.append(
            node.step(payload={"quest": "side", "step": "<b>&", "order": 7}, ago=20 * DAY)
        )
        assert (await node.send(who, *events))["accepted"] == len(events)
    out = {"consents": {"analytics": False}}
    await node.ask(players.pop(), "PUT", "/v1/me/consents", out)
    return await node.person("admin")


async def test_reports_say_where_players_stop_how_long_they_take_and_what_they_choose(
    node: Node,
) -> None:
    admin = await _played(node)

    async def report(name: str, **asked: Json) -> Json:
        given = "&".join(f"{key}={value}" for key, value in asked.items())
        status, answer = await node.ask(admin, "GET", f"{REPORTS}/{name}?{given}")
        assert status == 200, answer
        return answer if isinstance(answer, str) else answer["rows"]

    funnel = [
        ["heist", "plan", 0.0, 10, 1.0, 2],
        ["heist", "=crew()", 1.0, 8, 0.8, 4],
        ["heist", "vault", 2.0, 4, 0.4, None],
    ]
    assert await report("funnel", quest="heist") == funnel
    assert await report("funnel") == [*funnel, ["side", "<b>&", 7.0, 10, 1.0, None]]
    today = node.clock.now().date()
    recent = await report("funnel", quest="heist", first=today - DAY, last=today)
    assert [row[3] for row in recent] == [6, 6, 4]
    assert await report("stops", quest="heist") == [
        ["heist", "=crew()", 2, 0.5],
        ["heist", "plan", 2, 0.5],
    ]
    assert await report("stops", quest="heist", idle_days=15) == []
    assert await report("pacing") == [["one", 1.0, 10, 114.0, 330.0, 546.0, 330.0]]
    assert await report("choices") == [
        ["loot", "crew", "satire", 7, 0.7],
        ["loot", "cash", "satire", 3, 0.3],
    ]

    rows = list(csv.reader(io.StringIO(await report("funnel", format="csv"))))
    assert rows[:3] == [
        ["quest", "step", "order", "players", "share", "lost"],
        ["heist", "plan", "0.0", "10", "1.0", "2"],
        ["heist", "'=crew()", "1.0", "8", "0.8", "4"],
    ]
    for name, bars in (("funnel", 4), ("stops", 2), ("pacing", 1), ("choices", 2)):
        drawn = ElementTree.fromstring(await report(name, format="svg"))
        space = {"svg": "http://www.w3.org/2000/svg"}
        titles = [title.text for title in drawn.findall("svg:rect/svg:title", space)]
        assert len(titles) == bars, titles
    assert "side: <b>&: 10" in [
        title.text
        for title in ElementTree.fromstring(await report("funnel", format="svg")).iter(
            "{http://www.w3.org/2000/svg}title"
        )
    ]


async def test_report_is_printed_on_the_command_line(node: Node, serving_dsn: str) -> None:
    await _played(node)

    async def printed(*arguments: str, status: int = 0) -> str:
        environment = {"PLAYHALL_DATABASE_URL": serving_dsn}
        command = ("telemetry", "report", *arguments)
        done = await asyncio.to_thread(playhall, *command, environment=environment)
        assert done.status == status, done.said
        return done.said

    assert "heist,'=crew(),1.0,8,0.8,4" in await printed("funnel", "--quest", "heist")
    assert '"report": "choices"' in await printed("choices", "--format", "json")
    assert "<svg" in await printed("pacing", "--format", "svg")
    assert "first: send a day as" in await printed("stops", "--first", "2026-02-31", status=1)


async def test_report_that_is_none_is_refused(node: Node) -> None:
    admin, ann = await node.person("admin"), await node.person()
    for path, status in (
        ("funnel?first=2026-13-01", 422),
        ("funnel?first=0001-01-01", 422),
        ("funnel?last=9999-12-31", 422),
        ("funnel?first=2026-11-02&last=2026-11-01", 422),
        ("funnel?first=2026-01-01&last=2026-11-01", 422),
        ("funnel?format=pdf", 422),
        ("stops?idle_days=0", 422),
        ("laughs", 404),
        ("funnel", 200),
        ("choices?format=svg", 200),
        ("pacing?format=csv", 200),
    ):
        assert (await node.ask(admin, "GET", f"{REPORTS}/{path}"))[0] == status, path
    assert (await node.ask(ann, "GET", f"{REPORTS}/funnel"))[0] == 403
