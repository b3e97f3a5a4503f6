"""What admins do with webhooks over HTTP, and that nobody else does."""

import orjson
import pytest

from persistence.webhooks.store import ENDPOINTS_MAX
from protocol.ids import new_id
from tests.integration.webhooks.conftest import ADMIN, Hall

URL = "https://hooks.example/a?token=secret"


async def test_secret_is_shown_once(hall: Hall) -> None:
    status, made = await hall.ask(
        "POST", url=URL, events=["user.created", "user.created"], description="CRM"
    )
    assert status == 200
    assert made["secret"].startswith("whsec_")
    webhook = made["webhook"]
    assert (webhook["url"], webhook["events"], webhook["enabled"]) == (URL, ["user.created"], True)
    _, listed = await hall.ask("GET")
    assert listed == {"webhooks": [webhook]}
    [stored] = await hall.run("SELECT w::text AS row FROM webhook_endpoints w")
    assert made["secret"].removeprefix("whsec_") not in stored["row"]


async def test_webhook_is_changed_in_part(hall: Hall) -> None:
    endpoint_id, _ = await hall.add(URL)
    status, changed = await hall.ask(
        "PATCH", f"/{endpoint_id}", events=["lobby.closed"], enabled=False
    )
    assert status == 200
    assert (changed["url"], changed["events"]) == (URL, ["lobby.closed"])
    assert (changed["enabled"], changed["disabled_reason"]) == (False, "admin")
    _, changed = await hall.ask("PATCH", f"/{endpoint_id}", description="x", enabled=True)
    assert (changed["description"], changed["enabled"]) == ("x", True)
    assert changed["disabled_reason"] is None


async def test_deleted_webhook_is_gone_with_its_deliveries(hall: Hall) -> None:
    endpoint_id, _ = await hall.add(URL)
    await hall.ask("POST", f"/{endpoint_id}/test")
    assert await hall.ask("DELETE", f"/{endpoint_id}") == (200, {"endpoint_id": endpoint_id})
    assert await hall.run("SELECT FROM webhook_deliveries") == []
    assert (await hall.ask("DELETE", f"/{endpoint_id}"))[0] == 404


@pytest.mark.parametrize("token", ["player", "moderator"])
async def test_only_admins_may(hall: Hall, token: str) -> None:
    one = f"/{new_id()}"
    asked = [
        ("GET", "", {}),
        ("POST", "", {"url": URL, "events": ["user.created"]}),
        ("PATCH", one, {}),
        ("DELETE", one, {}),
        ("POST", f"{one}/secret", {}),
        ("POST", f"{one}/test", {}),
        ("GET", f"{one}/deliveries", {}),
        ("POST", f"{one}/deliveries/{new_id()}/redeliver", {}),
    ]
    assert len(asked) == len(hall.routes.endpoints())
    for method, path, body in asked:
        status, error = await hall.ask(method, path, token=token, **body)
        assert (status, error["code"]) == (403, "forbidden"), (method, path)
        assert (await hall.ask(method, path, token="nobody", **body))[0] == 401


async def test_what_does_not_exist_is_not_found(hall: Hall) -> None:
    endpoint_id, _ = await hall.add(URL)
    for method, path in (
        ("PATCH", f"/{new_id()}"),
        ("POST", f"/{new_id()}/secret"),
        ("POST", f"/{new_id()}/test"),
        ("POST", f"/{endpoint_id}/deliveries/{new_id()}/redeliver"),
    ):
        status, error = await hall.ask(method, path)
        assert (status, error["code"]) == (404, "not_found"), path


@pytest.mark.parametrize(
    "body",
    [
        {"url": "http://hooks.example/", "events": ["user.created"]},
        {"url": "not a url", "events": ["user.created"]},
        {"url": URL, "events": []},
        {"url": URL, "events": ["game.started"]},
        {"url": URL, "events": ["user.created"], "description": "x" * 201},
        {"url": URL, "events": ["user.created"], "secret": "whsec_x"},
    ],
)
async def test_nonsense_is_refused(guarded: Hall, body: dict[str, object]) -> None:
    status, error = await guarded.ask("POST", **body)
    assert (status, error["code"]) == (422, "invalid_field")
    assert await guarded.run("SELECT FROM webhook_endpoints") == []


async def test_there_are_not_more_webhooks_than_can_be_served(hall: Hall) -> None:
    for _ in range(ENDPOINTS_MAX):
        await hall.add(URL)
    status, error = await hall.ask("POST", url=URL, events=["user.created"])
    assert (status, error["code"]) == (422, "invalid_field")
    assert f"{ENDPOINTS_MAX} webhooks" in error["message"]


async def test_deliveries_are_listed_in_pages_and_by_state(hall: Hall) -> None:
    endpoint_id, _ = await hall.add(URL)
    for _ in range(3):
        await hall.ask("POST", f"/{endpoint_id}/test")
    path = f"/{endpoint_id}/deliveries"
    _, first = await hall.ask("GET", f"{path}?limit=2")
    _, rest = await hall.ask("GET", f"{path}?limit=2&cursor={first['next']}")
    assert (len(first["deliveries"]), len(rest["deliveries"]), rest["next"]) == (2, 1, None)
    _, dead = await hall.ask("GET", f"{path}?state=dead")
    assert dead == {"deliveries": [], "next": None}
    assert (await hall.ask("GET", f"{path}?cursor=nonsense"))[0] == 422


async def test_every_act_is_on_record_without_secrets(hall: Hall) -> None:
    endpoint_id, secret = await hall.add(URL)
    await hall.ask("PATCH", f"/{endpoint_id}", enabled=False)
    await hall.ask("POST", f"/{endpoint_id}/secret")
    _, delivery = await hall.ask("POST", f"/{endpoint_id}/test")
    await hall.ask("POST", f"/{endpoint_id}/deliveries/{delivery['delivery_id']}/redeliver")
    await hall.ask("DELETE", f"/{endpoint_id}")
    acts = await hall.run("SELECT * FROM audit_log ORDER BY id")
    assert [act["action"] for act in acts] == [
        f"webhook_{act}"
        for act in ("add", "change", "rotate_secret", "test", "redeliver", "delete")
    ]
    assert {(act["actor"], act["target"]) for act in acts} == {(ADMIN, endpoint_id)}
    assert orjson.loads(acts[1]["before"])["enabled"] is True
    assert orjson.loads(acts[1]["after"])["enabled"] is False
    assert orjson.loads(acts[0]["after"])["url"] == "https://hooks.example/a"
    said = str(acts)
    assert "token=" not in said
    assert secret.removeprefix("whsec_") not in said
