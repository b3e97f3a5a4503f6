"""Names that people take: there is something to see, and they mislead nobody."""

from collections.abc import Mapping
from typing import Any

import pytest

from protocol.accounts import BanRequest, EmailRequest, GuestRequest
from protocol.bots import NewBot
from protocol.chat import Say
from protocol.codec import validate
from protocol.errors import InvalidField
from protocol.ids import new_id
from protocol.lobbies import Create
from protocol.profiles import ErasureRequest, MeChange, UsernameQuery
from protocol.text import sanitise_name
from tests.fixtures.names import BLANK, FINE, RESERVED

CREATE = {"id": 1, "type": "lobby.create", "ruleset": "relay"}
SAY = {"id": 1, "type": "chat.say", "lobby_id": new_id()}
BOT = {"chain_id": 1, "contract_address": "0x" + "0" * 40, "token_id": "1"}

NAMED: list[tuple[Any, Mapping[str, object], str]] = [
    (GuestRequest, {}, "display_name"),
    (MeChange, {}, "display_name"),
    (EmailRequest, {"email": "ann@example.org"}, "display_name"),
]
WRITTEN = [*NAMED, (Create, CREATE, "name"), (Say, SAY, "text"), (BanRequest, {}, "reason")]


@pytest.mark.parametrize("name", BLANK, ids=ascii)
@pytest.mark.parametrize(("model", "rest", "field"), WRITTEN)
def test_what_shows_nothing_is_no_name_and_no_text(
    model: Any, rest: Mapping[str, object], field: str, name: str
) -> None:
    with pytest.raises(InvalidField) as refused:
        validate(model, {**rest, field: name})
    assert refused.value.field == field


@pytest.mark.parametrize("name", RESERVED, ids=ascii)
@pytest.mark.parametrize(("model", "rest", "field"), NAMED)
def test_name_of_those_who_run_the_server_is_refused_however_it_is_written(
    model: Any, rest: Mapping[str, object], field: str, name: str
) -> None:
    with pytest.raises(InvalidField, match="reserved for the operators of the server") as refused:
        validate(model, {**rest, field: name})
    assert refused.value.field == field


@pytest.mark.parametrize("name", ["admin", "playhall-support", "m0derator", "system_1"])
def test_reserved_username_and_slug_are_refused(name: str) -> None:
    with pytest.raises(InvalidField, match="username: Choose another"):
        validate(MeChange, {"username": name})
    with pytest.raises(InvalidField, match="slug: Choose another"):
        validate(NewBot, {**BOT, "slug": name})
    assert validate(UsernameQuery, {"username": name}).username == name
    assert validate(ErasureRequest, {"confirm": name}).confirm == name


@pytest.mark.parametrize("name", FINE, ids=ascii)
@pytest.mark.parametrize(("model", "rest", "field"), WRITTEN)
def test_any_other_name_is_kept_as_it_is_written(
    model: Any, rest: Mapping[str, object], field: str, name: str
) -> None:
    assert getattr(validate(model, {**rest, field: name}), field) == name


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("\u3164 Ann\u202e\n", "Ann"),
        ("\u200d\u0301", ""),
        ("x" * 70, "x" * 64),
        ("Z" + "\u0301" * 40 + "oe", "Zoe"),
        ("Zoë 👩\u200d🚀", "Zoë 👩\u200d🚀"),
    ],
)
def test_name_from_elsewhere_is_made_readable(written: str, read: str) -> None:
    assert sanitise_name(written, chars_max=64) == read
