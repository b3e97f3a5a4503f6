"""`playhall seed narrative` and `playhall loadtest progression`, as one types them."""

import csv
from pathlib import Path

import aiohttp
import orjson

from tests.fixtures.http import bearer
from tests.fixtures.node import SECRET_KEYS, Node
from tests.fixtures.shell import Done, playhall

PLAYERS = 16


async def test_story_is_seeded_checked_played_and_put_under_load(
    serving_dsn: str, tmp_path: Path
) -> None:
    settings = {
        "PLAYHALL_DATABASE_URL": serving_dsn,
        "PLAYHALL_SECRET_KEYS": SECRET_KEYS,
        "PLAYHALL_DATA_DIR": str(tmp_path),
    }

    def run(*arguments: object) -> Done:
        done = playhall(*arguments, environment=settings)
        done.assert_plain()
        return done

    refused = run("seed", "narrative", "--players", PLAYERS)
    assert refused.status == 2
    assert "PLAYHALL_DATABASE_URL" in refused.said
    assert "--yes" in refused.said
    seeded = run("seed", "narrative", "--players", PLAYERS, "--yes")
    assert seeded.status == 0, seeded.said
    assert f"{PLAYERS} of {PLAYERS} players." in seeded.said

    economy = run("economy", "verify")
    assert economy.status == 0, economy.said
    assert "with 0 transactions" not in economy.said
    saves = run("saves", "verify")
    assert saves.status == 0
    assert f"{PLAYERS} logs of saves checked, 0 broken." in saves.said
    (first, *_, last) = csv.DictReader(run("telemetry", "report", "funnel").out.splitlines())
    assert first["step"] == "meet_the_boat"
    assert int(first["players"]) > int(last["players"]) > 0

    with Node(tmp_path, serving_dsn, dev_login="1") as node:
        async with aiohttp.ClientSession(node.url) as web:

            async def sign_in(name: str) -> dict[str, str]:
                async with web.post("/v1/auth/dev", json={"name": name}) as reply:
                    assert reply.status == 200
                    return bearer((await reply.json())["access_token"])

            reader = await sign_in("reader_00001")
            async with web.get("/v1/saves", headers=reader) as reply:
                titles = {each["title"] for each in (await reply.json())["saves"]}
            assert "lamplighter" in titles
            editor = await sign_in("storyteller")
            async with web.get("/v1/admin/telemetry/reports/choices", headers=editor) as reply:
                assert len((await reply.json())["rows"]) > 8

        report = tmp_path / "report.json"
        done = playhall(
            "loadtest", "progression", "--url", node.url, "--players", 2, "--seconds", 1.5,
            "--sample", 1, "--json", report,
        )  # fmt: skip
        assert done.status == 0, done.said
        found = orjson.loads(report.read_bytes())
        assert all(each["passed"] for each in found["checks"].values())
        assert found["results"]["downloads resumed in all"] == 2
        assert found["results"]["save write p99 ms"] > 0
