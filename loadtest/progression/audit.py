"""What is checked once the devices have played: by what their players can read of their own."""

import asyncio
import io
import zipfile
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Final
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

import orjson

from loadtest.measure import Checks
from loadtest.progression.devices import QUESTION, Device
from loadtest.progression.recording import Acknowledged, checksum_of
from loadtest.progression.rollout import expected
from playhall.errors import ClientError, Json, RequestRefused
from playhall.http import HttpClient, full_jitter_pause_s

ALLOWED: Final = "nothing was refused that a device or its player may do"
SENT: Final = "every device could send all that it wrote"
CONVERGED: Final = "all devices of a player have the state of its slot"
REACHABLE: Final = "every acknowledged write is a revision with its state's checksum"
ONCE: Final = "every write made one revision, however often it was sent"
KEPT: Final = "what only one device writes is in the slot, or a branch, as it wrote it last"
READABLE: Final = "the newest acknowledged states can be read back"
ANSWERED: Final = "telemetry was answered as what it was: new, or known"
STORED: Final = "every accepted event is stored exactly once, as it was sent"
MANIFEST: Final = "the manifest offers what the rollout says"
CURRENT: Final = "the manifest offers nothing that is installed"
CHECKSUM: Final = "downloaded packages have their checksums"
RESUMED: Final = "a download that broke off fetched only the rest"

PAGE: Final = 100
STATES_READ: Final = 5
EXPORT_TIMEOUT_S: Final = 60.0
EXPORT_TRIES: Final = 60
EXPORT_PAUSE_S: Final = 2.0
_DIRECT: Final = build_opener(ProxyHandler({}))


async def note_saves(
    http: HttpClient, token: str, slot_id: str, devices: Sequence[Device], checks: Checks
) -> None:
    """Have all devices sync, then compare the slot with what they know."""
    for _ in range(2):  # in the second turn, each reads what the others sent in the first
        for device in devices:
            try:
                is_done = await device.sync() and not device.saves.queue.count_waiting()
            except RequestRefused as refused:
                checks.note_check(ALLOWED, f"slot {slot_id}: {refused}")
                is_done = False
            checks.note_check(
                SENT, None if is_done else f"slot {slot_id}: {device.name} still waits"
            )
    slot = await http.get(f"/v1/saves/{slot_id}", token=token)
    revisions = await _revisions(http, token, slot_id)
    acknowledged = {
        mutation_id: each
        for device in devices
        for mutation_id, each in device.http.acknowledged.items()
    }
    for device in devices:
        is_same = device.saves.state(slot_id) == slot["state"]
        checks.note_check(
            CONVERGED, None if is_same else f"slot {slot_id}: {device.name} has another"
        )
        for moved in device.http.moved:
            checks.note_check(ONCE, f"slot {slot_id}: {moved}")
    for each in acknowledged.values():
        checks.note_check(REACHABLE, _fault_of(slot_id, each, revisions.get(each.revision)))
    written = sum(card["reason"] == "write" for card in revisions.values())
    count = f"slot {slot_id}: {written} revisions of {len(acknowledged)} writes"
    checks.note_check(ONCE, None if written == len(acknowledged) else count)
    await _note_kept(http, token, slot, devices, checks)
    await _note_readable(http, token, slot_id, list(acknowledged.values()), revisions, checks)


def _fault_of(slot_id: str, each: Acknowledged, card: Json | None) -> str | None:
    if card is None:
        return f"slot {slot_id}: revision {each.revision} of {each.device} is gone"
    if (card["checksum"], card["device"]) != (each.checksum, each.device):
        return f"slot {slot_id}: revision {each.revision} is not what {each.device} wrote"
    return None


async def _revisions(http: HttpClient, token: str, slot_id: str) -> dict[int, Json]:
    found: dict[int, Json] = {}
    cursor: str | None = ""
    while cursor is not None:
        more = f"&cursor={cursor}" if cursor else ""
        page = await http.get(f"/v1/saves/{slot_id}/revisions?limit={PAGE}{more}", token=token)
        found |= {card["revision"]: card for card in page["revisions"]}
        cursor = page["next"]
    return found


async def _note_kept(
    http: HttpClient, token: str, slot: Json, devices: Sequence[Device], checks: Checks
) -> None:
    """Look for each device's own part in the slot, or in a branch.

    A branch that the player has decided against was the device's last word all the same.
    """
    path = f"/v1/saves/{slot['slot_id']}"
    states = [slot["state"]]
    for conflict in (await http.get(f"{path}/conflicts", token=token))["conflicts"]:
        with suppress(RequestRefused):  # one that was decided long ago may be forgotten
            branch = await http.get(f"{path}/revisions/{conflict['branch']}", token=token)
            states.append(branch["state"])
    for device in devices:
        numbers = [state["devices"].get(device.name, {}).get("number", 0) for state in states]
        fault = f"slot {slot['slot_id']}: {device.name} wrote {device.number}, there is {numbers}"
        checks.note_check(KEPT, None if device.number in numbers else fault)


async def _note_readable(
    http: HttpClient,
    token: str,
    slot_id: str,
    acknowledged: list[Acknowledged],
    revisions: dict[int, Json],
    checks: Checks,
) -> None:
    kept = [
        each
        for each in acknowledged
        if not revisions.get(each.revision, {"is_pruned": True})["is_pruned"]
    ]
    for each in sorted(kept, reverse=True)[:STATES_READ]:
        read = await http.get(f"/v1/saves/{slot_id}/revisions/{each.revision}", token=token)
        is_same = checksum_of(read["state"]) == each.checksum
        fault = f"slot {slot_id}: revision {each.revision} has another state"
        checks.note_check(READABLE, None if is_same else fault)


# ---------------------------------------------------------------------- telemetry


async def note_telemetry(devices: Sequence[Device], checks: Checks) -> None:
    """Send the last batches again: whatever was answered must have been right."""
    for device in devices:
        await device.report_again()
        for fault in device.sent.faults:
            checks.note_check(ANSWERED, f"{device.name}: {fault}")
        if not device.sent.faults:
            checks.note_check(ANSWERED, None)


async def note_stored(
    http: HttpClient, token: str, devices: Sequence[Device], checks: Checks
) -> None:
    """Compare all events that were accepted with what the player's own data has."""
    accepted = {
        event_id: event for device in devices for event_id, event in device.sent.accepted.items()
    }
    stored = await _stored_events(http.url, token)
    times = Counter(event["event_id"] for event in stored)
    by_id = {event["event_id"]: event for event in stored}
    for event_id, event in accepted.items():
        checks.note_check(
            STORED, _event_fault(event_id, event, by_id.get(event_id), times[event_id])
        )
    for event_id in by_id.keys() - accepted.keys():
        checks.note_check(STORED, f"event {event_id} is stored, and nobody sent it")


def _event_fault(event_id: str, sent: Json, stored: Json | None, times: int) -> str | None:
    if stored is None:
        return f"event {event_id} was accepted, and is not stored"
    if times != 1:
        return f"event {event_id} is stored {times} times"
    same = all(stored[name] == sent[name] for name in ("event_type", "payload", "session"))
    return None if same else f"event {event_id} is stored with another content"


async def _stored_events(url: str, token: str) -> list[Json]:
    """Read an account's events from the export of its data."""
    for attempt in range(EXPORT_TRIES):
        content = await asyncio.to_thread(_exported, url, token)
        if content is not None:
            break
        await asyncio.sleep(full_jitter_pause_s(attempt, cap_s=EXPORT_PAUSE_S))
    else:
        raise ClientError("The server does not export a player's data; try again later.")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        name = "tables/telemetry_events.jsonl"
        lines = archive.read(name).splitlines() if name in archive.namelist() else []
    return [orjson.loads(line) for line in lines]


def _exported(url: str, token: str) -> bytes | None:
    """Ask for an export; None where the server asks to wait."""
    request = Request(f"{url}/v1/me/export", headers={"Authorization": f"Bearer {token}"})  # noqa: S310 - a URL that was checked
    try:
        with _DIRECT.open(request, timeout=EXPORT_TIMEOUT_S) as answer:
            content: bytes = answer.read()
    except HTTPError as error:
        if error.code in (429, 503):
            return None
        raise ClientError(f"The export of a player's data failed with {error.code}.") from None
    return content


# ---------------------------------------------------------------------- content


async def released(http: HttpClient, token: str) -> list[Json]:
    """Read every package that a player may see."""
    found: list[Json] = []
    cursor: str | None = ""
    while cursor is not None:
        more = f"&cursor={cursor}" if cursor else ""
        page = await http.get(f"/v1/content/packages?limit={PAGE}{more}", token=token)
        found += page["packages"]
        cursor = page["next"]
    return found


async def note_content(
    packages: list[Json], account_id: str, device: Device, checks: Checks
) -> None:
    """Compare the manifest with the rollout, fetch all, and break one download off."""
    wanted = expected(packages, QUESTION, account_id)
    manifest = await device.look_at_content()
    offered = {each["package_id"] for each in manifest["fetch"]}
    fault = f"account {account_id}: {sorted(offered)} instead of {sorted(wanted)}"
    checks.note_check(MANIFEST, None if offered == wanted else fault)
    installed = await device.fetch_content()
    for package in installed:
        digest = await asyncio.to_thread(_digest_of, package.path)
        is_right = f"sha256:{digest}" == package.checksum
        checks.note_check(
            CHECKSUM, None if is_right else f"{package.name} {package.version}: {digest}"
        )
    if installed:
        largest = max(installed, key=lambda package: package.size)
        fetched, rest = await device.fetch_the_rest(largest), largest.size - largest.size // 2
        checks.note_check(
            RESUMED, None if fetched == rest else f"{fetched} bytes instead of {rest}"
        )
    have = tuple(each.package_id for each in installed)
    again = await device.look_at_content(have)
    more = [each["package_id"] for each in again["fetch"]]
    checks.note_check(CURRENT, f"account {account_id}: {more}" if more else None)


def _digest_of(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()
