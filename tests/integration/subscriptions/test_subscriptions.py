"""Subscriptions: events of Stripe, what is fetched for them, and the pages where people pay."""

import asyncio
import json
import logging
import time
from typing import Any

import pytest

from tests.fixtures.stripe_server import DAY_S, KEY, SECRET, event, sign
from tests.integration.subscriptions.conftest import CREATOR, OLD_CREATOR, REALM, Shop

UPDATED = "customer.subscription.updated"


# ------------------------------------------------------------------ signatures


async def test_an_event_that_stripe_did_not_sign_for_this_server_changes_nothing(
    shop: Shop,
) -> None:
    ann = await shop.person()
    customer = await shop.customer(ann)
    shop.stripe.add_subscription(customer, REALM)
    shop.stripe.asked.clear()
    body = json.dumps(event(UPDATED, {"object": "subscription", "customer": customer})).encode()
    good = sign(body)
    timestamp, _, mac = good.partition(",v1=")
    for signature in (
        "",
        "x",
        "t=,v1=",
        f"t={'9' * 5000},v1={mac}",
        f"{timestamp},v1={mac[:-1]}0" if mac[-1] != "0" else f"{timestamp},v1={mac[:-1]}1",
        f"{timestamp},v1=é",
        sign(body, scheme="v0"),
        sign(body, secret="whsec_another"),
        sign(body, secret=KEY),
        sign(body + b" "),
        good.replace("t=", "t=1"),
    ):
        status, refusal = await shop.send_body(body, signature)
        assert (status, refusal["code"]) == (400, "bad_signature"), signature
    status, refusal = await shop.send_body(body, sign(body, at=time.time() - 301))
    assert (status, refusal["code"]) == (400, "bad_signature")
    assert "too long ago" in refusal["message"]
    assert (await shop.send_body(body[:-1] + b"\xff", good))[0] == 400
    async with shop.http.post("/v1/stripe/events", data=body) as answer:
        assert answer.status == 400
    assert shop.stripe.asked == []
    assert (
        await shop.owner.fetchval(
            "SELECT count(*) FROM stripe_events WHERE event_id = $1", json.loads(body)["id"]
        )
        == 0
    )
    assert await shop.state(ann) == ("explorer", None)
    assert await shop.send_body(body, good) == (200, {"result": "applied"})


async def test_events_are_taken_with_each_secret_while_it_is_replaced(shop: Shop) -> None:
    for secret in ("whsec_old", SECRET):
        body = json.dumps(event("product.created", {"object": "product"})).encode()
        assert (await shop.send_body(body, sign(body, secret=secret)))[0] == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b"\xff",
        b'{"id": "evt_1"}',
        b"[" * 10_000,
        b'{"id": "x", "type": "invoice.paid", "data": {"object": {}}}',
        b'{"id": "evt_1", "type": "invoice.paid", "data": {"object": []}}',
    ],
)
async def test_what_is_signed_but_no_event_is_refused(shop: Shop, body: bytes) -> None:
    try:
        body.decode()
    except UnicodeDecodeError:
        expected = "bad_signature"  # the scheme signs text
    else:
        expected = "bad_frame"
    status, refusal = await shop.send_body(body)
    assert (status, refusal["code"]) == (400, expected)


async def test_a_body_that_is_too_large_is_refused(shop: Shop) -> None:
    status, refusal = await shop.send_body(b"x" * (256 * 1024 + 1))
    assert (status, refusal["code"]) == (413, "too_large")


# ------------------------------------------------------------------ what an event leads to


async def test_the_tier_is_what_stripe_has_and_not_what_an_event_says(shop: Shop) -> None:
    ann = await shop.person()
    customer = await shop.customer(ann)
    subscription = shop.stripe.add_subscription(customer, CREATOR)
    lie = {**subscription, "status": "canceled", "items": {"data": [{"price": {"id": REALM}}]}}
    assert await shop.send(UPDATED, lie) == (200, {"result": "applied"})
    assert await shop.state(ann) == ("creator", "active")
    assert shop.changed[-1] == ann.user_id  # so that nobody goes on with what was cached
    row = await shop.profile(ann)
    assert row["stripe_subscription_id"] == subscription["id"]
    item = subscription["items"]["data"][0]
    assert row["subscription_period_end"].timestamp() == item["current_period_end"]
    own = await shop.ok(ann, "GET", "/subscription")
    assert (own["tier"], own["status"], own["cancels"]) == ("creator", "active", False)
    assert own["offers"] == ["creator", "realm_builder"]
    assert (await shop.ok(ann, "GET", "/me"))["tier"] == "creator"
    (asked,) = [each for each in shop.stripe.asked if each.path == "/v1/subscriptions"]
    assert asked.headers["stripe-version"] == "2026-10-28.endive"
    assert "x-stripe-client-telemetry" not in asked.headers


@pytest.mark.parametrize(
    ("kind", "thing"),
    [
        ("customer.subscription.created", {"object": "subscription"}),
        ("customer.subscription.deleted", {"object": "subscription"}),
        ("customer.subscription.trial_will_end", {"object": "subscription"}),
        ("invoice.paid", {"object": "invoice"}),
        ("invoice.payment_failed", {"object": "invoice"}),
        ("checkout.session.completed", {"object": "checkout.session"}),
    ],
)
async def test_every_event_of_a_subscription_is_followed(
    shop: Shop, kind: str, thing: dict[str, Any]
) -> None:
    ann = await shop.person()
    customer = await shop.customer(ann)
    shop.stripe.add_subscription(customer, CREATOR)
    assert await shop.send(kind, {**thing, "customer": customer}) == (200, {"result": "applied"})
    assert await shop.state(ann) == ("creator", "active")
    expanded = {**thing, "customer": {"id": customer, "object": "customer"}}
    assert await shop.send(kind, expanded) == (200, {"result": "unchanged"})


async def test_events_of_other_things_are_ignored_once_and_for_all(shop: Shop) -> None:
    for kind, thing in (
        ("product.created", {"object": "product"}),
        ("customer.updated", {"object": "customer", "id": "cus_x"}),
        ("invoice.paid", {"object": "invoice", "customer": None}),
        ("invoice.paid", {"object": "invoice", "customer": "../customers"}),
        ("checkout.session.completed", {"object": "checkout.session", "customer": 7}),
        ("v2.of.the.future", {}),
    ):
        assert await shop.send(kind, thing) == (200, {"result": "ignored"})
    assert shop.stripe.asked == []


async def test_a_customer_whom_nobody_is_changes_nobody(shop: Shop) -> None:
    ann = await shop.person()
    stranger = shop.stripe.add_customer()
    # Whoever pays can set a reference, but not the metadata.
    shop.stripe.add_subscription(stranger, REALM, client_reference_id=ann.user_id)
    thing = {"object": "subscription", "customer": stranger, "client_reference_id": ann.user_id}
    assert await shop.send(UPDATED, thing) == (200, {"result": "unknown_customer"})
    assert await shop.state(ann) == ("explorer", None)


async def test_an_event_waits_while_the_key_is_of_another_account(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    ann = await shop.person()
    customer = await shop.customer(ann)
    shop.stripe.add_subscription(customer, CREATOR)
    hidden = shop.stripe.customers.pop(customer)
    body = json.dumps(event(UPDATED, {"object": "subscription", "customer": customer})).encode()
    status, refusal = await shop.send_body(body)
    assert (status, refusal["code"]) == (503, "stripe_failed")
    assert "PLAYHALL_STRIPE_KEY" in caplog.text
    shop.stripe.customers[customer] = hidden
    assert await shop.send_body(body) == (200, {"result": "applied"})


async def test_a_customer_belongs_to_whom_the_checkouts_metadata_says(shop: Shop) -> None:
    ann, bob = await shop.person(), await shop.person()
    customer, second = shop.stripe.add_customer(), shop.stripe.add_customer()
    metadata = {"user_id": ann.user_id}
    for each in (customer, second):
        shop.stripe.add_subscription(each, CREATOR, metadata=metadata)
    thing = {"object": "subscription", "customer": customer}
    assert await shop.send(UPDATED, thing) == (200, {"result": "applied"})
    assert (await shop.profile(ann))["stripe_customer_id"] == customer
    thing = {"object": "subscription", "customer": second}  # of somebody who has one
    assert await shop.send(UPDATED, thing) == (200, {"result": "unknown_customer"})
    for odd in ("x", "00000000-0000-4000-8000-00000000dead"):
        third = shop.stripe.add_customer()
        shop.stripe.add_subscription(third, CREATOR, metadata={"user_id": odd})
        thing = {"object": "subscription", "customer": third}
        assert await shop.send(UPDATED, thing) == (200, {"result": "unknown_customer"})
    assert await shop.state(bob) == ("explorer", None)


async def test_a_replayed_event_is_answered_and_not_followed_again(shop: Shop) -> None:
    ann = await shop.person()
    customer = await shop.customer(ann)
    shop.stripe.add_subscription(customer, CREATOR)
    body = json.dumps(event(UPDATED, {"object": "subscription", "customer": customer})).encode()
    results = await asyncio.gather(*(shop.send_body(body) for _ in range(5)))
    assert {status for status, _ in results} == {200}
    assert [answer["result"] for _, answer in results].count("applied") == 1
    fetched = shop.stripe.fetches(customer)
    for _ in range(3):
        assert await shop.send_body(body, sign(body)) == (200, {"result": "duplicate"})
    assert shop.stripe.fetches(customer) == fetched
    assert await shop.changes(ann) == ["creator"]


async def test_events_in_any_order_and_at_once_end_in_what_stripe_has(shop: Shop) -> None:
    ann = await shop.person()
    customer = await shop.customer(ann)
    subscription = shop.stripe.add_subscription(customer, CREATOR)
    thing = {"object": "subscription", "customer": customer}
    slow = asyncio.Event()
    shop.stripe.holds.append(slow)
    first = asyncio.create_task(shop.send("customer.subscription.created", thing))
    while shop.stripe.fetches(customer) == 0:
        await asyncio.sleep(0.01)
    subscription["items"]["data"][0]["price"]["id"] = REALM  # after the first answer was read
    assert await shop.send(UPDATED, thing) == (200, {"result": "applied"})
    slow.set()
    assert await first == (200, {"result": "unchanged"})
    assert await shop.state(ann) == ("realm_builder", "active")
    subscription["status"] = "canceled"
    for kind in ("customer.subscription.deleted", UPDATED, "customer.subscription.created"):
        assert (await shop.send(kind, thing))[0] == 200
    assert await shop.state(ann) == ("explorer", "canceled")
    assert await shop.changes(ann) == ["realm_builder", "explorer"]


@pytest.mark.parametrize("failure", [500, 503, 429, 401, 403, "hang", "cut", "garbage"])
async def test_a_failed_fetch_is_answered_so_that_stripe_repeats_the_event(
    shop: Shop, failure: int | str, caplog: pytest.LogCaptureFixture
) -> None:
    ann = await shop.person()
    customer = await shop.customer(ann)
    shop.stripe.add_subscription(customer, CREATOR)
    body = json.dumps(event(UPDATED, {"object": "subscription", "customer": customer})).encode()
    shop.stripe.failures += [failure] * 6  # aiohttp and the library repeat it
    with caplog.at_level(logging.INFO):
        status, refusal = await shop.send_body(body)
    assert (status, refusal["code"], refusal["retry"]) == (503, "stripe_failed", True)
    assert KEY not in caplog.text
    ours = [each.getMessage() for each in caplog.records if not each.name.startswith("aiohttp")]
    assert customer not in "\n".join(ours)
    assert await shop.state(ann) == ("explorer", None)
    shop.stripe.failures.clear()
    shop.stripe.stall.set()
    assert await shop.send_body(body) == (200, {"result": "applied"})
    assert await shop.state(ann) == ("creator", "active")
    assert await shop.changes(ann) == ["creator"]
    shop.stripe.stall.clear()


# ------------------------------------------------------------------ when a tier ends


@pytest.mark.parametrize(
    ("status", "tier", "shown"),
    [
        ("trialing", "creator", "trialing"),
        ("unpaid", "explorer", "past_due"),
        ("canceled", "explorer", "canceled"),
        ("paused", "explorer", "paused"),
        ("incomplete", "explorer", None),
        ("incomplete_expired", "explorer", None),
        ("of_the_future", "explorer", None),
    ],
)
async def test_each_status_gives_or_takes_the_tier(
    shop: Shop, status: str, tier: str, shown: str | None
) -> None:
    ann = await shop.person()
    customer = await shop.customer(ann)
    subscription = shop.stripe.add_subscription(customer, CREATOR)
    thing = {"object": "subscription", "customer": customer}
    await shop.send(UPDATED, thing)
    subscription["status"] = status
    await shop.send(UPDATED, thing)
    assert await shop.state(ann) == (tier, shown)


async def test_a_cancelled_subscription_lasts_until_its_period_ends(shop: Shop) -> None:
    ann = await shop.person()
    customer = await shop.customer(ann)
    subscription = shop.stripe.add_subscription(customer, CREATOR, cancel_at_period_end=True)
    thing = {"object": "subscription", "customer": customer}
    await shop.send(UPDATED, thing)
    own = await shop.ok(ann, "GET", "/subscription")
    assert (own["tier"], own["status"], own["cancels"]) == ("creator", "active", True)
    row = await shop.profile(ann)
    assert row["subscription_check_at"] == row["subscription_period_end"]
    await shop.check_now(ann)
    assert await shop.state(ann) == ("creator", "active")
    subscription["status"] = "canceled"  # and the event of it never comes
    await shop.check_now(ann)
    assert await shop.state(ann) == ("explorer", "canceled")
    assert (await shop.profile(ann))["subscription_check_at"] is None


async def test_a_failed_payment_takes_the_tier_after_the_grace(shop: Shop) -> None:
    ann = await shop.person()
    customer = await shop.customer(ann)
    began = time.time() - 2 * DAY_S
    subscription = shop.stripe.add_subscription(customer, CREATOR, "past_due", began=began)
    thing = {"object": "invoice", "customer": customer}
    await shop.send("invoice.payment_failed", thing)
    assert await shop.state(ann) == ("creator", "past_due")
    due = (await shop.profile(ann))["subscription_check_at"]
    assert due.timestamp() == pytest.approx(began + 7 * DAY_S, abs=1)
    subscription["items"]["data"][0]["current_period_start"] -= 6 * DAY_S
    await shop.check_now(ann)
    assert await shop.state(ann) == ("explorer", "past_due")
    subscription["status"] = "active"  # paid at last
    await shop.send("invoice.paid", thing)
    assert await shop.state(ann) == ("creator", "active")


async def test_a_check_that_fails_is_made_again_and_takes_nothing(shop: Shop) -> None:
    ann = await shop.person()
    customer = await shop.customer(ann)
    shop.stripe.add_subscription(customer, CREATOR)
    await shop.send(UPDATED, {"object": "subscription", "customer": customer})
    shop.stripe.failures += [500, 500]
    await shop.check_now(ann)
    assert await shop.state(ann) == ("creator", "active")
    assert await shop.owner.fetchval(
        "SELECT subscription_check_at > now() FROM profiles WHERE id = $1", ann.user_id
    )


async def test_the_best_of_several_subscriptions_counts_and_others_products_do_not(
    shop: Shop,
) -> None:
    ann = await shop.person()
    customer = await shop.customer(ann)
    thing = {"object": "subscription", "customer": customer}
    shop.stripe.add_subscription(customer, "price_of_a_newspaper")
    assert await shop.send(UPDATED, thing) == (200, {"result": "unchanged"})
    assert await shop.state(ann) == ("explorer", None)
    shop.stripe.add_subscription(customer, REALM, "canceled")
    shop.stripe.add_subscription(customer, OLD_CREATOR)
    await shop.send(UPDATED, thing)
    assert await shop.state(ann) == ("creator", "active")
    shop.stripe.add_subscription(customer, REALM)
    await shop.send(UPDATED, thing)
    assert await shop.state(ann) == ("realm_builder", "active")


async def test_a_customer_that_stripe_deleted_is_forgotten(shop: Shop) -> None:
    ann = await shop.person()
    customer = await shop.customer(ann)
    shop.stripe.add_subscription(customer, CREATOR)
    await shop.send(UPDATED, {"object": "subscription", "customer": customer})
    thing = {"object": "customer", "id": customer}
    assert await shop.send("customer.deleted", thing) == (200, {"result": "ignored"})  # it is not
    assert await shop.state(ann) == ("creator", "active")
    shop.stripe.customers[customer] = {"id": customer, "object": "customer", "deleted": True}
    assert await shop.send("customer.deleted", thing) == (200, {"result": "applied"})
    assert await shop.state(ann) == ("explorer", "canceled")
    assert await shop.customer(ann) != customer


async def test_an_erased_person_is_billed_no_more(shop: Shop) -> None:
    ann = await shop.person()
    customer = await shop.customer(ann)
    subscription = shop.stripe.add_subscription(customer, CREATOR)
    await shop.owner.execute("SELECT playhall_auth.erase_person($1)", ann.user_id)
    shop.stripe.failures += [500, 500]
    await shop.service.check()
    assert subscription["status"] == "active"
    await shop.owner.execute("UPDATE stripe_deletions SET due_at = now() - interval '1 s'")
    await shop.service.check()
    assert subscription["status"] == "canceled"
    left = await shop.owner.fetchval(
        "SELECT count(*) FROM stripe_deletions WHERE customer_id = $1", customer
    )
    assert left == 0


async def test_an_account_with_a_subscription_is_not_merged_away(shop: Shop) -> None:
    ann, bob = await shop.person(), await shop.person()
    customer = await shop.customer(ann)
    subscription = shop.stripe.add_subscription(customer, CREATOR)
    thing = {"object": "subscription", "customer": customer}
    await shop.send(UPDATED, thing)
    preview = "/me/merge/preview"
    status, refusal = await shop.ask(bob, "POST", preview, {"access_token": ann.token})
    assert (status, refusal["code"]) == (409, "merge_blocked")
    assert "subscription" in refusal["message"]
    assert (await shop.ask(ann, "POST", preview, {"access_token": bob.token}))[0] == 200
    subscription["status"] = "canceled"
    await shop.send(UPDATED, thing)
    assert (await shop.ask(bob, "POST", preview, {"access_token": ann.token}))[0] == 200


# ------------------------------------------------------------------ pages of Stripe's


async def test_a_checkout_leads_to_stripe_and_is_the_same_for_two_clicks(shop: Shop) -> None:
    ann = await shop.person()
    body = {"tier": "realm_builder"}
    both = await asyncio.gather(
        *(shop.ok(ann, "POST", "/subscription/checkout", body) for _ in range(2))
    )
    assert both[0] == both[1]
    assert both[0]["url"].startswith("https://stripe.test/")
    customers = [
        each
        for each in shop.stripe.customers.values()
        if each.get("metadata", {}).get("user_id") == ann.user_id
    ]
    assert len(customers) == 1
    page = "/v1/checkout/sessions"
    asked = next(each for each in shop.stripe.asked if each.path == page).values
    assert asked["line_items[0][price]"] == REALM
    assert asked["subscription_data[metadata][user_id]"] == ann.user_id
    assert asked["mode"] == "subscription"
    assert asked["success_url"].startswith("https://hall.example.org/")


async def test_who_subscribes_already_or_is_a_guest_gets_no_checkout(shop: Shop) -> None:
    guest, ann = await shop.guest(), await shop.person()
    body = {"tier": "creator"}
    status, refusal = await shop.ask(guest, "POST", "/subscription/checkout", body)
    assert (status, refusal["code"]) == (403, "guest_cannot_subscribe")
    for bad in ({}, {"tier": "explorer"}, {"tier": "creator", "user_id": guest.user_id}):
        status, refusal = await shop.ask(ann, "POST", "/subscription/checkout", bad)
        assert (status, refusal["code"]) == (422, "invalid_field")
    customer = await shop.customer(ann)
    shop.stripe.add_subscription(customer, CREATOR)
    await shop.send(UPDATED, {"object": "subscription", "customer": customer})
    status, refusal = await shop.ask(ann, "POST", "/subscription/checkout", body)
    assert (status, refusal["code"]) == (409, "already_subscribed")
    for method, path in (("GET", ""), ("POST", "/checkout"), ("POST", "/portal")):
        assert (await shop.ask(None, method, f"/subscription{path}", body))[0] == 401


async def test_the_portal_is_for_customers(shop: Shop) -> None:
    ann = await shop.person()
    status, refusal = await shop.ask(ann, "POST", "/subscription/portal")
    assert (status, refusal["code"]) == (404, "no_subscription")
    customer = await shop.customer(ann)
    page = await shop.ok(ann, "POST", "/subscription/portal")
    assert page["url"].startswith("https://stripe.test/")
    asked = next(each for each in shop.stripe.asked if "billing_portal" in each.path).values
    assert asked == {"customer": customer, "return_url": "https://hall.example.org/"}
    shop.stripe.failures += ["hang", "hang"]
    status, refusal = await shop.ask(ann, "POST", "/subscription/portal")
    assert (status, refusal["code"]) == (503, "stripe_failed")
    shop.stripe.failures.clear()
