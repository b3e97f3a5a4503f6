"""`playhall accounts` and `playhall keys`, on a real database."""

import asyncio
import re
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import pytest
import typer
from click.testing import Result
from pydantic import SecretStr
from typer.testing import CliRunner

from persistence.accounts.sign_in import SignInStore
from persistence.accounts.store import AccountStore
from persistence.database import Database
from persistence.sealing import Seal, SealingKey
from protocol.accounts import Tokens
from server.cli import plain_errors
from server.config import Config
from server.core.clock import Clock
from server.domains.people.accounts.codes import OneTimeCodes
from server.domains.people.accounts.keys import SigningKeys
from server.domains.people.accounts.service import Accounts
from server.domains.people.accounts.sign_in_methods import ProvedSignInMethod, SignInMethodService
from server.ops.accounts_cli import add_commands
from server.ops.shell import Shell
from tests.integration.accounts.conftest import LIFETIMES

OLD, NEW = SealingKey.generate(), SealingKey.generate()
EMAIL = "ann@example.org"
T = TypeVar("T")


class Hall:
    """A database, the command line on it, and the configuration that both have."""

    def __init__(self, dsn: str, serving_dsn: str, folder: Path) -> None:
        self.dsn = dsn  # of the owner; the command line has the login of a server
        self._serving_dsn = serving_dsn
        self.config = Config(data_dir=folder, secret_keys=SecretStr(OLD.to_setting))
        app = typer.Typer()
        add_commands(app, Shell(lambda **_: self.config, self._database_url, plain_errors))
        self._app = app

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(self._app, list(arguments))

    def ok(self, *arguments: str) -> str:
        result = self.run(*arguments)
        assert result.exit_code == 0, result.output
        return result.output

    def keys(self, *keys: SealingKey) -> None:
        text = ",".join(key.to_setting for key in keys)
        self.config = self.config.model_copy(update={"secret_keys": SecretStr(text)})

    def registered(self) -> Tokens:
        """Somebody who signs in with an address."""

        async def register(database: Database) -> Tokens:
            seal, store = Seal(lambda: [OLD]), SignInStore(database)
            keys = SigningKeys(AccountStore(database), now=lambda: 0.0, seal=seal)
            await keys.start()
            accounts = Accounts(
                store=AccountStore(database),
                keys=keys,
                clock=Clock(),
                lifetimes=LIFETIMES,
                revoked=lambda *_: None,
            )
            codes = OneTimeCodes(store=store, seal=seal, clock=Clock())
            proof = await codes.read("email", await codes.make("email", {"email": EMAIL}))
            return await SignInMethodService(
                store=store, seal=seal, accounts=accounts
            ).create_account(
                proof.code_hash,
                ProvedSignInMethod("email", EMAIL),
                password_hash="x",
                display_name="Ann",
            )

        return self.on_database(register)

    def on_database(self, work: Callable[[Database], Coroutine[Any, Any, T]]) -> T:
        async def run() -> T:
            database = await Database.open(self.dsn, embedded=True)
            try:
                return await work(database)
            finally:
                await database.close()

        return asyncio.run(run())

    @contextmanager
    def _database_url(self, _: Config) -> Iterator[str]:
        yield self._serving_dsn


@pytest.fixture
def hall(fresh_dsn: str, serving_dsn: str, tmp_path: Path) -> Hall:
    return Hall(fresh_dsn, serving_dsn, tmp_path)


def test_person_is_found_by_username_id_and_email(hall: Hall) -> None:
    ann = hall.registered()
    (username,) = re.findall(rf"{ann.user_id}  (\w+)  'Ann'", hall.ok("accounts", "find", EMAIL))
    for text in (username[:5], ann.user_id, ann.player_id, EMAIL.upper()):
        assert ann.user_id in hall.ok("accounts", "find", text)
    assert "No account found" in hall.ok("accounts", "find", "bob@example.org")


def test_ban_and_its_end_are_printed_and_on_record(hall: Hall) -> None:
    ann = hall.registered()
    output = hall.ok("accounts", "ban", ann.user_id, "--reason", "Spam.", "--days", "7")
    assert re.search(r"banned until 20\S+Z: Spam\.", output)
    assert "banned" not in hall.ok("accounts", "unban", ann.user_id)
    with psycopg.connect(hall.dsn) as connection:
        acts = connection.execute("SELECT actor, action, target FROM audit_log ORDER BY id")
        assert acts.fetchall() == [
            ("console", "ban", ann.user_id),
            ("console", "unban", ann.user_id),
        ]


def test_roles_are_granted_and_revoked(hall: Hall) -> None:
    ann = hall.registered()
    assert "admin" in hall.ok("accounts", "grant", ann.user_id, "admin")
    assert "admin, moderator" in hall.ok("accounts", "grant", ann.user_id, "moderator")
    assert "admin" not in hall.ok("accounts", "revoke", ann.user_id, "admin")
    hall.ok("accounts", "grant", ann.user_id, "support")
    assert "editor, moderator, support" in hall.ok("accounts", "grant", ann.user_id, "editor")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("accounts", "unban", "nobody"), "There is no account 'nobody'"),
        (("accounts", "grant", "ANN", "king"), "There is no role 'king'"),
    ],
)
def test_mistake_ends_with_a_sentence(
    hall: Hall, arguments: tuple[str, ...], sentence: str
) -> None:
    ann = hall.registered()
    result = hall.run(*(ann.user_id if word == "ANN" else word for word in arguments))
    assert result.exit_code == 1
    assert sentence in result.output.replace("\n", " ")


def test_new_key_can_be_configured(hall: Hall) -> None:
    made = hall.ok("keys", "new").strip()
    hall.config = hall.config.model_copy(update={"secret_keys": SecretStr(made)})
    hall.ok("accounts", "find", "x")


def test_rotated_key_signs_and_the_one_before_is_still_in_use(hall: Hall) -> None:
    hall.registered()
    (old,) = hall.ok("keys", "list").splitlines()
    assert "in use  sealed" in old
    hall.ok("keys", "rotate")
    listed = hall.ok("keys", "list").splitlines()
    assert len(listed) == 2
    assert listed[1] == old
    assert "in use" in listed[0]


def test_after_reencrypting_the_old_key_is_not_needed(hall: Hall) -> None:
    ann = hall.registered()
    hall.keys(NEW, OLD)
    assert ann.user_id in hall.ok("accounts", "find", EMAIL)
    assert "1 sign-in methods, 1 signing keys" in hall.ok("keys", "reencrypt")
    hall.keys(NEW)
    assert ann.user_id in hall.ok("accounts", "find", EMAIL)
    assert "0 sign-in methods, 0 signing keys" in hall.ok("keys", "reencrypt")
    hall.ok("keys", "rotate")


def test_without_the_old_key_reencrypting_says_what_is_missing(hall: Hall) -> None:
    hall.registered()
    hall.keys(NEW)
    result = hall.run("keys", "reencrypt")
    assert result.exit_code == 1
    assert f"has no key {OLD.id!r}" in result.output.replace("\n", " ")


def test_lost_key_is_forgotten_with_what_it_sealed_once_that_is_confirmed(hall: Hall) -> None:
    hall.registered()
    hall.keys(NEW)
    refused = hall.run("accounts", "find", EMAIL)
    assert refused.exit_code == 1
    assert f"playhall keys forget {OLD.id}" in refused.output.replace("\n", " ")
    asked = hall.run("keys", "forget", OLD.id)
    assert asked.exit_code == 1
    assert "sealed 1 sign-in methods" in asked.output
    assert "Deleted 1 sign-in methods and retired 1 signing keys" in hall.ok(
        "keys", "forget", OLD.id, "--yes"
    )
    assert "No account found" in hall.ok("accounts", "find", EMAIL)
    hall.ok("keys", "rotate")
    with psycopg.connect(hall.dsn) as connection:
        acts = connection.execute("SELECT actor, action, target FROM audit_log")
        assert acts.fetchall() == [("console", "forget_key", OLD.id)]


def test_signing_keys_from_before_the_sealing_are_sealed(hall: Hall) -> None:
    async def make_plain(database: Database) -> None:
        await SigningKeys(AccountStore(database), now=lambda: 0.0).start()

    hall.on_database(make_plain)
    assert "in the clear" in hall.ok("keys", "list")
    hall.ok("keys", "reencrypt")
    assert "sealed" in hall.ok("keys", "list")
