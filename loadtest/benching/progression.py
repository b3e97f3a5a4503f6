"""Saves, telemetry and content over HTTP, beside what the database alone does of the same work.

Everything that is sent is written beforehand, and everything that was answered is checked
afterwards: slots are read back, batches are sent again and must be known, each manifest must be
what the rollout says.
"""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from statistics import median
from typing import Any, Final
from urllib.parse import urlencode

import orjson

from loadtest.benching.direct import copy_events, count_copied, write_saves
from loadtest.benching.figures import RunResult
from loadtest.benching.machine import (
    CoreAssignment,
    CpuUsage,
    UsageMonitor,
    monitor_usage,
    pin_process,
)
from loadtest.benching.prepared import Answer, Sent, guests, send_all, written
from loadtest.benching.servers import BenchNode, ServerDidNotStart
from loadtest.measure import Checks
from loadtest.progression.devices import QUESTION, uuid7
from loadtest.progression.rollout import expected
from playhall.errors import Json
from playhall.http import HttpClient
from protocol.telemetry import BATCH_EVENTS_MAX

CONNECTIONS: Final = 8
TITLE: Final = "bench"
STATE_BYTES: Final = 4096
LARGE_BYTES: Final = 1024 * 1024 - 8192
SETTLE_S: Final = 0.3
CONTENT_WAIT_S: Final = 60.0
MERGES: Final = 20
TIME_MERGE: Final = Path(__file__).parents[2] / "tools" / "time_merge.py"

ACKNOWLEDGED: Final = "every write was acknowledged with the next revision, and is the slot's state"
STORED: Final = "every event was accepted once, and known when it was sent again"
OFFERED: Final = "every manifest offers what the rollout says"
MERGED: Final = "every stale write was merged, and both changes are in the slot"


# ---------------------------------------------------------------------- saves


def write(node: BenchNode, on: CoreAssignment, *, writes: int) -> RunResult:
    """Write states of 4 KB, each from the revision before, as eight players would."""
    tokens = guests(node.url, CONNECTIONS)
    slots = [_slot(node.url, token, {}) for token in tokens]
    share = -(-writes // CONNECTIONS)
    connections = [
        [_put(node.url, token, slot, base, _state(base)) for base in range(1, share + 1)]
        for token, slot in zip(tokens, slots, strict=True)
    ]
    with monitored(node, on) as monitor:
        sent = send_counted(monitor, node.url, connections)
    checks = Checks()
    for token, slot, answers in zip(tokens, slots, sent.answers, strict=True):
        for base, answer in enumerate(answers, start=1):
            is_next = answer.status == 200 and answer.data["revision"] == base + 1
            checks.note_check(
                ACKNOWLEDGED, None if is_next else f"{answer.status}: {answer.body[:200]!r}"
            )
        state = _get(node.url, token, f"/v1/saves/{slot}")["state"]
        checks.note_check(
            ACKNOWLEDGED, None if state == _state(share) else f"slot {slot} has another"
        )
    return counted_result("save writes of 4 KB", "save writes/s", sent, checks, monitor)


def write_directly(node: BenchNode, on: CoreAssignment, *, seconds: float) -> RunResult:
    """Write the same by SQL, with role and claims, past the server."""
    tokens = guests(node.url, CONNECTIONS)
    slots = [
        (_slot(node.url, token, {}), _get(node.url, token, "/v1/me")["user_id"]) for token in tokens
    ]
    state = orjson.dumps(_state(0)).decode().replace('":', '": ')
    with monitored(node, on) as monitor:
        monitor.sample()
        began_s = time.monotonic()
        rate = write_saves(node, slots, state, seconds=seconds)
        ended_s = time.monotonic()
        monitor.sample()
    checks = Checks()
    for token, (slot, _) in zip(tokens, slots, strict=True):
        is_written = _get(node.url, token, f"/v1/saves/{slot}")["state"] == _state(0)
        checks.note_check(ACKNOWLEDGED, None if is_written else f"slot {slot} was not written")
    usage = monitor.usage_between(began_s, ended_s)
    return RunResult("save writes of 4 KB by SQL alone", {"save writes/s": rate}, checks, usage)


def _state(number: int) -> Json:
    """Make a state of 4 KB, other each time."""
    return {"number": number, "pad": "x" * (STATE_BYTES - 32)}


def _put(url: str, token: str, slot: str, base: int, state: Json, device: str = "bench") -> bytes:
    body = {"state": state, "mutation_id": uuid7(), "device": device}
    headers = {"If-Match": f'"{base}"'}
    return written(url, "PUT", f"/v1/saves/{slot}", token, body, headers)


def _slot(url: str, token: str, state: Json) -> str:
    body = {"title": TITLE, "state": state}
    (answer,) = send_all(url, [[written(url, "POST", "/v1/saves", token, body)]]).answers[0]
    return str(answer.data["slot_id"])


# ---------------------------------------------------------------------- merging


def merge(node: BenchNode, on: CoreAssignment) -> RunResult:
    """Merge states of 1 MiB: the rules alone, and writes over HTTP that are stale."""
    alone_ms = _merges_alone(on)
    (token,) = guests(node.url, 1)
    large = {str(number): "x" * 100 for number in range(LARGE_BYTES // 111)}
    checks, merged, plain = Checks(), list[float](), list[float]()
    slot = _slot(node.url, token, {"left": 0, "right": 0, "scenes": large})
    base = 1
    for number in range(1, MERGES + 1):
        ours = {"left": number, "right": number - 1, "scenes": large}
        theirs = {"left": number - 1, "right": number, "scenes": large}
        requests = [
            _put(node.url, token, slot, base, ours, "left"),
            _put(node.url, token, slot, base, theirs, "right"),
        ]
        first, second = send_all(node.url, [requests]).answers[0]
        plain.append(first.seconds)
        merged.append(second.seconds)
        checks.note_check(MERGED, _merge_fault(second, number))
        base = int(second.data["current"])
    numbers = {
        "merge ms": median(alone_ms),
        "merged write ms": median(merged) * 1000,
        "plain write ms": median(plain) * 1000,
    }
    return RunResult("merges of 1 MiB", numbers, checks)


def _shown(answer: Answer) -> str:
    return f"{answer.status}: {answer.body[:200]!r}"


def _merge_fault(answer: Answer, number: int) -> str | None:
    if answer.status != 200 or answer.data["outcome"] != "merged":
        return _shown(answer)
    state = answer.data["state"]
    both = (state["left"], state["right"])
    return None if both == (number, number) else f"{both} instead of {number} twice"


def _merges_alone(on: CoreAssignment) -> list[float]:
    """Time the server's rules, on the server's core."""
    with subprocess.Popen(  # noqa: S603 - a program of ours
        [sys.executable, str(TIME_MERGE), str(MERGES)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as timing:
        pin_process(timing.pid, on.server)
        said, complained = timing.communicate()
    if timing.returncode:
        raise ServerDidNotStart(complained)
    return [float(line) for line in said.split()]


# ---------------------------------------------------------------------- telemetry


def report(node: BenchNode, on: CoreAssignment, *, batches: int) -> RunResult:
    """Send batches of 500 events, each validated, deduplicated and committed."""
    tokens = guests(node.url, CONNECTIONS)
    share = -(-batches // CONNECTIONS)
    connections = [
        [
            written(node.url, "POST", "/v1/telemetry", token, {"events": _events()})
            for _ in range(share)
        ]
        for token in tokens
    ]
    with monitored(node, on) as monitor:
        sent = send_counted(monitor, node.url, connections)
    again = send_all(node.url, [requests[:2] for requests in connections])
    checks = Checks()
    for answers, new in ((sent.answers, True), (again.answers, False)):
        for answer in (each for of_one in answers for each in of_one):
            checks.note_check(STORED, _batch_fault(answer, new=new))
    return counted_result(
        "telemetry", "telemetry events/s", sent, checks, monitor, times=BATCH_EVENTS_MAX
    )


def _batch_fault(answer: Answer, *, new: bool) -> str | None:
    if answer.status != 200:
        return _shown(answer)
    said = answer.data
    counts = (said["accepted"], len(said["duplicates"]), len(said["refused"]))
    wanted = (BATCH_EVENTS_MAX, 0, 0) if new else (0, BATCH_EVENTS_MAX, 0)
    return None if counts == wanted else f"{counts} instead of {wanted}"


def report_directly(node: BenchNode, on: CoreAssignment, *, batches: int) -> RunResult:
    """Copy as many events into the same table, past the server."""
    rows = list(_copied_rows(batches))
    with monitored(node, on) as monitor:
        monitor.sample()
        began_s = time.monotonic()
        seconds = copy_events(node, rows)
        monitor.sample()
    count = batches * BATCH_EVENTS_MAX
    checks, copied = Checks(), count_copied(node)
    checks.note_check("every row is there", None if copied >= count else f"{copied} of {count}")
    usage = monitor.usage_between(began_s, began_s + seconds)
    numbers = {"telemetry events/s": count / seconds}
    return RunResult("telemetry by COPY alone", numbers, checks, usage)


def _events() -> list[dict[str, Any]]:
    """Make a batch as a game would send it."""
    return [
        {
            "event_id": uuid7(),
            "event_type": "quest_step",
            "payload": {"quest": "the_heist", "step": f"step_{place % 20}", "order": place % 20},
            "session": "s-0123456789",
        }
        for place in range(BATCH_EVENTS_MAX)
    ]


def _copied_rows(batches: int) -> Iterator[list[tuple[str, ...]]]:
    """Make the rows of batches in COPY's text format."""
    nobody = "00000000-0000-4000-8000-000000000000"
    for _ in range(batches):
        at = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime())
        yield [
            (
                event["event_id"],
                nobody,
                event["event_type"],
                orjson.dumps(event["payload"]).decode(),
                at,
                event["session"],
                "1",
            )
            for event in _events()
        ]


# ---------------------------------------------------------------------- manifests


def ask(node: BenchNode, on: CoreAssignment, *, manifests: int) -> RunResult:
    """Ask what content to fetch, as players who have none of it, or what they were offered."""
    node.run_command("seed", "narrative", "--players", "0")
    tokens = guests(node.url, CONNECTIONS)
    packages = _released(node.url, tokens[0])
    share = -(-manifests // CONNECTIONS)
    wanted = [
        expected(packages, QUESTION, _get(node.url, token, "/v1/me")["user_id"]) for token in tokens
    ]
    connections = [
        [_question(node.url, token, have if number % 2 else set()) for number in range(share)]
        for token, have in zip(tokens, wanted, strict=True)
    ]
    with monitored(node, on) as monitor:
        sent = send_counted(monitor, node.url, connections)
    checks = Checks()
    for answers, of_player in zip(sent.answers, wanted, strict=True):
        for number, answer in enumerate(answers):
            checks.note_check(OFFERED, _manifest_fault(answer, set() if number % 2 else of_player))
    return counted_result("manifests", "manifests/s", sent, checks, monitor)


def _released(url: str, token: str) -> list[Json]:
    """Wait until the server offers what was released beside it, then list it."""
    until = time.monotonic() + CONTENT_WAIT_S
    while not _ask(url, _question(url, token, set()))["fetch"]:
        if time.monotonic() > until:
            raise ServerDidNotStart("The server does not offer what was released.")
        time.sleep(SETTLE_S)
    packages: list[Json] = _get(url, token, "/v1/content/packages?limit=100")["packages"]
    return packages


def _question(url: str, token: str, have: set[str]) -> bytes:
    query = {
        "client": QUESTION.client,
        "locale": QUESTION.locale,
        "channel": ",".join(QUESTION.channels),
        "have": ",".join(sorted(have)),
    }
    return written(url, "GET", f"/v1/content/manifest?{urlencode(query)}", token)


def _manifest_fault(answer: Answer, wanted: set[str]) -> str | None:
    if answer.status != 200:
        return _shown(answer)
    offered = {each["package_id"] for each in answer.data["fetch"]}
    return None if offered == wanted else f"{sorted(offered)} instead of {sorted(wanted)}"


# ---------------------------------------------------------------------- measuring


def monitored(node: BenchNode, on: CoreAssignment) -> AbstractContextManager[UsageMonitor]:
    """Watch the processor time of a node and its database."""
    return monitor_usage(on=on, server=node.pid, database=node.database_pid)


def send_counted(monitor: UsageMonitor, url: str, connections: Sequence[Sequence[bytes]]) -> Sent:
    """Send all requests while it is watched what they cost."""
    time.sleep(SETTLE_S)
    monitor.sample()
    sent = send_all(url, connections)
    monitor.sample()
    return sent


def counted_result(
    what: str, rate: str, sent: Sent, checks: Checks, monitor: UsageMonitor, *, times: int = 1
) -> RunResult:
    """Make the result of what was sent; each answer counts `times`."""
    answers = [answer for of_one in sent.answers for answer in of_one]
    took_s = sorted(answer.seconds for answer in answers)
    numbers = {
        rate: len(answers) * times / sent.seconds,
        "reply p50 ms": took_s[len(took_s) // 2] * 1000,
        "reply p99 ms": took_s[len(took_s) * 99 // 100] * 1000,
    }
    usage: CpuUsage = monitor.usage_between(sent.began_s, sent.ended_s)
    return RunResult(what, numbers, checks, usage)


def _get(url: str, token: str, path: str) -> Json:
    async def get() -> Json:
        async with HttpClient(url) as http:
            return await http.get(path, token=token)

    return asyncio.run(get())


def _ask(url: str, request: bytes) -> Json:
    data: Json = send_all(url, [[request]]).answers[0][0].data
    return data
