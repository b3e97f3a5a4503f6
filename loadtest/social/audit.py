"""What is checked once everybody has stopped: by what the people can read themselves."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from loadtest.measure import Checks
from loadtest.social.people import ANNOUNCED, FEED_PAGES_MAX, HIDDEN, SocialPerson
from loadtest.social.record import DueNotification, SocialRecord, Work, about
from playhall.errors import RequestRefused

COUNTED: Final = "every counter equals what was acknowledged"
LIKES_KEPT: Final = "no like is lost, and none comes back"
NOTIFIED: Final = "everybody was told of everything that was done, and of nothing else"
LISTED: Final = "the inbox over HTTP has every notification once"

LOOK_AGAIN_S: Final = 0.1
CHECKED_AT_ONCE: Final = 8
LIKERS_MAX: Final = 20  # of a creation, who look whether they still like it
PAGE: Final = 100


async def note_society(
    people: Sequence[SocialPerson], record: SocialRecord, checks: Checks, *, patience_s: float
) -> None:
    """Compare what everybody was told and can read with what was acknowledged.

    What comes by itself is waited for until `patience_s` have passed.
    """
    await asyncio.gather(*(person.settle() for person in people))
    by_id = {person.user_id: person for person in people}
    turnstile = asyncio.Semaphore(CHECKED_AT_ONCE)

    async def check_person(person: SocialPerson) -> None:
        async with turnstile:
            await _note_told(person, record, checks, patience_s)
            await _note_announced(person, record, checks, patience_s)
            await _note_listed(person, record, checks)
            await _note_profile(person, people, record, checks)
            await person.read_feed()

    async def check_work(work: Work) -> None:
        async with turnstile:
            await _note_work(work, by_id, record, checks)

    async with asyncio.TaskGroup() as tasks:
        for person in people:
            tasks.create_task(check_person(person))
        for work in record.works.values():
            if work.done is not None and work.creation_id not in record.unsure:
                tasks.create_task(check_work(work))


async def _wait_until(holds: Callable[[], bool], patience_s: float) -> None:
    """Wait until something holds that comes by itself, but not for ever."""
    for _ in range(round(patience_s / LOOK_AGAIN_S)):
        if holds():
            return
        await asyncio.sleep(LOOK_AGAIN_S)


# ---------------------------------------------------------------------- what people are told


def _expected(person: SocialPerson, record: SocialRecord) -> set[DueNotification]:
    """List what a person must have been told; of pairs that were blocked, nothing is certain."""
    return {
        due
        for due in record.due_notifications - record.revoked_notifications
        if due.user_id == person.user_id and not record.is_touched(due.user_id, due.actor_id)
    }


async def _note_told(
    person: SocialPerson, record: SocialRecord, checks: Checks, patience_s: float
) -> None:
    expected = _expected(person, record)

    def got() -> set[DueNotification]:
        return {
            DueNotification(person.user_id, each["type"], str(each["actor_id"]), about(each))
            for each in person.inbox.notifications
        }

    await _wait_until(lambda: expected <= got(), patience_s)
    missing, invented = expected - got(), got() - record.due_notifications
    if missing:
        checks.note_check(NOTIFIED, f"{len(missing)} did not come, such as {min(missing)}")
    elif invented and not record.unsure:
        checks.note_check(NOTIFIED, f"nobody did {min(invented)}")
    else:
        checks.note_check(NOTIFIED, None)


async def _note_announced(
    person: SocialPerson, record: SocialRecord, checks: Checks, patience_s: float
) -> None:
    since = person.inbox.watched_since
    expected = {
        work.creation_id
        for work in record.works.values()
        if work.done is not None
        and work.began > since
        and work.owner != person.user_id
        and not record.is_touched(person.user_id, work.owner)
    }
    announced = person.inbox.announced["public"]
    await _wait_until(lambda: expected <= {each["creation_id"] for each in announced}, patience_s)
    missing = expected - {each["creation_id"] for each in announced}
    fault = f"{person.user_id}: {len(missing)} creations were not announced" if missing else None
    checks.note_check(ANNOUNCED, fault)


async def _note_listed(person: SocialPerson, record: SocialRecord, checks: Checks) -> None:
    """Count the notifications of all groups; those of blocked people are gone."""
    count, cursor = 0, ""
    for _ in range(FEED_PAGES_MAX):
        more = f"&cursor={cursor}" if cursor else ""
        page = await person.ask("GET", f"/v1/notifications?limit={PAGE}{more}")
        count += sum(group["count"] for group in page["groups"])
        hidden = record.apart_from(person.user_id) & {
            actor["user_id"] for group in page["groups"] for actor in group["actors"]
        }
        checks.note_check(HIDDEN, f"{person.user_id} was told of {min(hidden)}" if hidden else None)
        if (cursor := page["next"]) is None:
            break
    wanted = len(_expected(person, record))
    is_right = count == wanted or bool(record.unsure)
    checks.note_check(LISTED, None if is_right else f"{person.user_id}: {count} of {wanted}")


# ---------------------------------------------------------------------- counters


async def _note_profile(
    person: SocialPerson, people: Sequence[SocialPerson], record: SocialRecord, checks: Checks
) -> None:
    if record.unsure & {each.user_id for each in people}:
        return
    profile = await person.ask("GET", f"/v1/profiles/{person.user_id}")
    counts = (profile["follower_count"], profile["following_count"], profile["creation_count"])
    made = [work for work in record.works.values() if work.owner == person.user_id]
    wanted = (
        sum(whom == person.user_id for _, whom in record.follows),
        sum(who == person.user_id for who, _ in record.follows),
        sum(work.done is not None for work in made),
    )
    fault = f"{person.user_id}: followers, following and creations are {counts} and not {wanted}"
    checks.note_check(COUNTED, None if counts == wanted else fault)


async def _note_work(
    work: Work, people: dict[str, SocialPerson], record: SocialRecord, checks: Checks
) -> None:
    path = f"/v1/creations/{work.creation_id}"
    shown = await people[work.owner].ask("GET", path)
    counts, wanted = (
        (shown["like_count"], shown["comment_count"]),
        (len(work.likers), len(work.comments)),
    )
    fault = f"{work.creation_id}: likes and comments are {counts} and not {wanted}"
    checks.note_check(COUNTED, None if counts == wanted else fault)
    for person in [*people.values()][:LIKERS_MAX]:
        if person.user_id in record.apart_from(work.owner):
            continue
        try:
            seen = await person.ask("GET", path)
        except RequestRefused as refused:
            checks.note_check(LIKES_KEPT, f"{work.creation_id}: {refused}")
            continue
        is_right = seen["user_has_liked"] == (person.user_id in work.likers)
        fault = f"{work.creation_id}: whether {person.user_id} likes it is wrong"
        checks.note_check(LIKES_KEPT, None if is_right else fault)
