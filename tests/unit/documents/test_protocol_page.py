"""The pages on the wire against the code: nothing is missing, and every frame is a frame."""

import json
import re
from pathlib import Path

import pytest

from persistence.database import Database
from persistence.rls import RlsDatabase
from protocol.catalog import COMMANDS, UPDATES, all_errors
from protocol.codec import decode
from protocol.envelope import Refusal, type_of
from protocol.errors import CloseReason, PlayhallError
from server.app import App
from server.config import Config
from server.core.clock import Clock
from server.core.tasks import Tasks
from server.domains.services import Services

REFERENCE = Path(__file__).parents[3] / "docs" / "reference"
PROTOCOL = (REFERENCE / "protocol.md").read_text()
ERRORS = (REFERENCE / "errors.md").read_text()
HTTP = (REFERENCE / "http.md").read_text()
FRAMES = [
    json.loads(line)
    for block in re.findall(r"```json\n(.*?)```", PROTOCOL, re.DOTALL)
    for line in block.splitlines()
]
SENT = [frame for frame in FRAMES if "id" in frame]
SENT_UPDATES = [frame for frame in FRAMES if frame["type"] in UPDATES]


@pytest.mark.parametrize("name", [*COMMANDS, *UPDATES])
def test_every_command_and_update_is_on_the_page(name: str) -> None:
    assert f"`{name}`" in PROTOCOL


def test_every_command_and_update_has_an_example() -> None:
    assert {frame["type"] for frame in SENT} == set(COMMANDS)
    assert {frame["type"] for frame in SENT_UPDATES} == set(UPDATES)


@pytest.mark.parametrize("frame", SENT, ids=lambda frame: frame["type"])
def test_every_example_of_a_command_is_one(frame: dict[str, object]) -> None:
    assert type_of(type(decode(json.dumps(frame).encode()))) == frame["type"]


@pytest.mark.parametrize("frame", SENT_UPDATES, ids=lambda frame: frame["type"])
def test_every_example_of_an_update_is_one(frame: dict[str, object]) -> None:
    UPDATES[str(frame["type"])].model_validate(frame)


def test_every_example_of_a_reply_is_one() -> None:
    asked = {frame["id"]: COMMANDS[frame["type"]].reply for frame in SENT}
    replies = [frame for frame in FRAMES if "re" in frame]
    assert replies
    for reply in replies:
        shape = Refusal if reply["type"] == "error" else asked[reply["re"]]
        shape.model_validate(reply)


@pytest.mark.parametrize("error", [PlayhallError, *all_errors()])
def test_every_error_code_is_explained(error: type[PlayhallError]) -> None:
    meaning = (error.__doc__ or "").partition("\n")[0]
    again = "yes" if error.retry else "no"
    assert f"| `{error.code}` | {error.status} | {again} | {meaning} |" in ERRORS


@pytest.mark.parametrize("why", CloseReason)
def test_every_close_reason_says_what_to_do_next(why: CloseReason) -> None:
    row = re.search(rf"^\| {why.code} \| `{why.reason}` \| .+ \| (.+) \|$", ERRORS, re.MULTILINE)
    assert row is not None


async def test_every_address_is_on_the_page() -> None:
    async with Tasks() as tasks:
        base = Services(
            Config(),
            Database.unopened(),
            RlsDatabase(Database.unopened()),
            "node",
            Clock(),
            tasks,
            {},
        )
        endpoints = App(base).endpoints()
    addresses = [f"{e.method} {re.sub(':[^}]*}', '}', e.path)}" for e in endpoints]
    missing = [address for address in addresses if f"`{address}" not in HTTP]
    assert missing == []
