"""Subscriptions on a real node: with Stripe beside it, and without a key."""

import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.e2e.social.conftest import Platform
from tests.faults.client_line import new_guests
from tests.fixtures.http import bearer
from tests.fixtures.node import Node
from tests.fixtures.shell import playhall
from tests.fixtures.stripe_server import KEY, SECRET, event, sign, stripe_server

STRIPE = {
    "stripe_key": KEY,
    "stripe_webhook_secrets": SECRET,
    "stripe_prices_creator": "price_creator",
    "stripe_prices_realm_builder": "price_realm",
}


@pytest.mark.xdist_group("social platform")
async def test_without_a_key_nothing_is_sold_and_the_setting_is_named(platform: Platform) -> None:
    (ann,) = await platform.people(1)
    own = await ann.ok("GET", "/subscription")
    assert (own["tier"], own["status"], own["offers"]) == ("explorer", None, [])
    for who, path, body in (
        (ann, "/subscription/checkout", {"tier": "creator"}),
        (ann, "/subscription/portal", None),
        (None, "/stripe/events", {}),
    ):
        status, refusal = await platform.ask(who, "POST", path, body)
        assert (status, refusal["code"]) == (404, "not_set_up")
        assert "PLAYHALL_STRIPE_KEY" in refusal["message"]


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"stripe_webhook_secrets": ""}, "PLAYHALL_STRIPE_WEBHOOK_SECRETS"),
        ({"stripe_prices_creator": "", "stripe_prices_realm_builder": ""}, "PRICES_CREATOR"),
        ({"stripe_prices_creator": "price_realm"}, "a price is of one tier"),
        ({"stripe_url": "http://stripe.example"}, "PLAYHALL_STRIPE_URL"),
        ({"stripe_return_url": "javascript:x"}, "PLAYHALL_STRIPE_RETURN_URL"),
        ({"stripe_grace_s": "-1"}, "PLAYHALL_STRIPE_GRACE_S"),
    ],
)
def test_what_is_missing_or_wrong_stops_the_start(
    tmp_path: Path, changed: dict[str, str], named: str
) -> None:
    settings = {f"PLAYHALL_{name.upper()}": value for name, value in (STRIPE | changed).items()}
    settings["PLAYHALL_DATA_DIR"] = str(tmp_path)
    settings["PLAYHALL_DATABASE_URL"] = "postgresql://nobody@127.0.0.1:1/nothing"
    settings["PLAYHALL_SECRET_KEYS"] = "test:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
    done = playhall("serve", environment=settings)
    assert done.status != 0
    assert named in done.said
    assert KEY not in done.said


async def test_a_person_subscribes_and_cancels(tmp_path: Path, serving_dsn: str) -> None:
    async with stripe_server() as stripe:
        with Node(tmp_path / "node", serving_dsn, **STRIPE, stripe_url=stripe.url) as node:
            (ann,) = await new_guests(node, 1)
            async with aiohttp.ClientSession(node.url, headers=bearer(ann.token)) as web:

                async def ask(method: str, path: str, body: Any = None) -> tuple[int, Any]:
                    async with web.request(method, f"/v1{path}", json=body) as answer:
                        return answer.status, await answer.json()

                async def send(kind: str, thing: dict[str, Any]) -> tuple[int, Any]:
                    body = json.dumps(event(kind, thing)).encode()
                    headers = {"Stripe-Signature": sign(body)}
                    async with web.post("/v1/stripe/events", data=body, headers=headers) as answer:
                        return answer.status, await answer.json()

                status, refusal = await ask("POST", "/subscription/checkout", {"tier": "creator"})
                assert (status, refusal["code"]) == (403, "guest_cannot_subscribe")
                # As a payment link does that somebody made at Stripe for this person.
                metadata = {"user_id": ann.session["user_id"]}
                customer = stripe.add_customer(metadata=metadata)
                paid = stripe.add_subscription(customer, "price_creator", metadata=metadata)
                assert await send("customer.subscription.created", paid) == (
                    200,
                    {"result": "applied"},
                )
                _, own = await ask("GET", "/subscription")
                assert (own["tier"], own["status"]) == ("creator", "active")
                status, page = await ask("POST", "/subscription/portal")
                assert (status, page["url"][:20]) == (200, "https://stripe.test/")
                asked = next(each for each in stripe.asked if "billing_portal" in each.path)
                assert asked.values["return_url"] == f"{node.url}/"
                paid["status"] = "canceled"
                await send("customer.subscription.deleted", paid)
                _, own = await ask("GET", "/subscription")
                assert (own["tier"], own["status"]) == ("explorer", "canceled")
                async with web.get("/metrics") as answer:
                    assert "playhall_stripe_events_applied_total 2.0" in await answer.text()
    output = "\n".join(node.output)
    assert "Traceback" not in output
    assert KEY not in output
    assert SECRET not in output
