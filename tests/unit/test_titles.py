"""A title package that cannot be served is refused in a sentence that names file and remedy."""

import gc
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from persistence.errors import StartRefused
from protocol import catalog
from server import titles
from server.config import Config
from server.core.settings import SettingsReader
from server.ops.title_check import check_titles
from server.titles import find_titles

WIRE = '''
from typing import ClassVar, Literal

from protocol.envelope import Command, Ok, Update, WireModel
from protocol.errors import PlayhallError


class Vote(Command):
    """Vote."""

    reply: ClassVar[type[WireModel]] = Ok
    type: Literal["polls.vote"]


class Poll(WireModel):
    """A poll."""

    question: str


class Profile(WireModel):
    """Called as one of the server's."""

    question: str


class PollClosed(PlayhallError):
    """The poll is closed."""

    code, status = "poll_closed", 409


COMMANDS = (Vote,)
'''
DOMAIN = """
from server.core.events import PlayerConnected
from server.domains.contract import Domain
from server.gateway.http.endpoints import Endpoint
from server.gateway.metrics import MetricsCollector, MetricSource
from server.gateway.session.sessions import CommandRoute
from server.titles.polls.wire import Poll, Profile, Vote


async def vote(session, command):
    return None


async def read(request):
    return Poll(question="Tea?")


def connected(event):
    pass


def build(services):
    return Domain(
        name="polls",
        commands={Vote: CommandRoute(awaited=vote)},
        endpoints=[Endpoint("GET", "/v1/polls/{poll_id}", "Read.", read, answer=Poll)],
        listens={PlayerConnected: connected},
        metrics=[MetricsCollector(counters=[MetricSource("polls_votes", "Votes.", lambda: 0)])],
    )
"""


@pytest.fixture(scope="module", autouse=True)
def _settled() -> None:
    """Keep what earlier tests left out of the searches for garbage: there is one for each test."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(titles, "__path__", list(titles.__path__))
    commands, updates = dict(catalog.COMMANDS), dict(catalog.UPDATES)
    folder = tmp_path / "titles" / "polls"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "wire.py").write_text(WIRE)
    (folder / "domain.py").write_text(DOMAIN)
    yield folder
    for known, before in ((catalog.COMMANDS, commands), (catalog.UPDATES, updates)):
        for name in known.keys() - before.keys():
            del known[name]
    for name in [name for name in sys.modules if name.startswith("server.titles.")]:
        del sys.modules[name]
    vars(titles).pop("polls", None)
    find_titles.cache_clear()
    gc.collect()  # its errors are found for as long as they exist


def check(path: Path) -> None:
    check_titles(Config(), SettingsReader(), {}, find_titles(path))


def refusal(path: Path) -> str:
    with pytest.raises(StartRefused) as refused:
        check(path)
    return str(refused.value)


def test_package_as_it_should_be_is_accepted(folder: Path) -> None:
    check(folder.parent)


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        (
            "wire",
            "COMMANDS = (Vote,)",
            "",
            "polls.vote has a CommandRoute, but is not in COMMANDS; add it",
        ),
        ("wire", "polls.vote", "lobby.create", "a command lobby.create already; choose another"),
        ("wire", '"poll_closed"', '"not_found"', "the code 'not_found', which another error has"),
        ("domain", "answer=Poll", "answer=Profile", "schemas are called Profile; choose another"),
        (
            "domain",
            "Vote: CommandRoute(awaited=vote)",
            "",
            "polls.vote is in COMMANDS, but has no CommandRoute",
        ),
        (
            "domain",
            "awaited=vote",
            "immediate=vote",
            "is an `async def`; write CommandRoute(awaited=…)",
        ),
        (
            "domain",
            "CommandRoute(awaited=vote)",
            "CommandRoute()",
            "the CommandRoute of polls.vote needs a handler",
        ),
        ("domain", "return Domain", "1 / 0, Domain", "build(services) fails: ZeroDivisionError"),
        ("domain", "return Domain", "Domain", "returns NoneType; return a Domain"),
        ("domain", "/v1/polls/{poll_id}", "/v1/polls/{", "the path '/v1/polls/{' cannot be used"),
        ("domain", "/v1/polls/{poll_id}", "/v1/lobbies", "there is GET /v1/lobbies already"),
        ("domain", "/v1/polls/{poll_id}", "/v1/games/best", "there is GET /v1/games/{game_id} al"),
        ("domain", "/v1/polls/{poll_id}", "/metrics", "there is GET /metrics already"),
        ("domain", "/v1/polls/{poll_id}", "/docs", "there is the page /docs already"),
        ("domain", '"polls_votes"', '"sessions"', "another metric playhall_sessions; choose"),
        ("domain", 'name="polls"', 'name="chat"', "another domain is called 'chat'; choose"),
        ("domain", "def connected", "async def connected", "to PlayerConnected is an `async def`"),
    ],
)
def test_package_that_cannot_be_served_is_refused_with_its_file(
    folder: Path, file: str, old: str, new: str, said: str
) -> None:
    path = folder / f"{file}.py"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    sentence = refusal(folder.parent)
    assert said in sentence
    assert str(folder) in sentence
    assert "\n" not in sentence


def test_folder_in_which_packages_are_not_found_is_refused(folder: Path) -> None:
    assert f"is itself a package; name the folder that it is in: {folder.parent}" in refusal(folder)
    (folder / "__init__.py").unlink()
    assert f"{folder} has no __init__.py; add an empty one" in refusal(folder.parent)
    find_titles.cache_clear()
    (folder / "__init__.py").touch()
    renamed = folder.rename(folder.with_name("my-polls"))
    assert f"{renamed} cannot be imported; name the folder with" in refusal(folder.parent)
    (folder.parent / "empty").mkdir()
    assert "there is no title package in" in refusal(folder.parent / "empty")
