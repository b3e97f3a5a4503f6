"""A server does not start with keys that do not open what is stored."""

import json
import re
import shutil
import time
import urllib.request
from pathlib import Path
from typing import Any

import psycopg
import pytest

from persistence.sealing import Seal, parse_keys
from protocol.ids import UserId
from server.domains.integrations.webhooks.service import secret_context
from server.domains.people.accounts.sealed import method_context, method_indexes
from tests.fixtures.node import SECRET_KEYS, Node
from tests.fixtures.shell import playhall

WAIT_S = 20
EMAIL = "ann@example.org"
PASSWORD = "correct horse"
OTHER = f"other:{'B' * 43}="


def post(node: Node, path: str, **body: object) -> Any:
    request = urllib.request.Request(
        node.url + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as reply:
        return json.load(reply)


def register(node: Node) -> str:
    """Register by the mail that lies in the data folder; give the account's id."""
    post(node, "/v1/auth/email", email=EMAIL)
    (letter,) = wait_for_mail(node.folder / "mail")
    code = re.search(r"confirm#([\w-]{43})", letter.read_text().replace("=\n", ""))
    assert code is not None
    return str(
        post(node, "/v1/auth/email/confirm", code=code[1], password=PASSWORD)["tokens"]["user_id"]
    )


def wait_for_mail(folder: Path) -> list[Path]:
    deadline = time.monotonic() + WAIT_S
    while not (found := [path for path in folder.glob("*.eml") if path.stat().st_size]):
        assert time.monotonic() < deadline, "no mail came"
        time.sleep(0.01)
    return found


def refusal(node: Node) -> str:
    """Start a server that must not start; give what it says, in one line."""
    with pytest.raises(AssertionError, match="did not start"):
        node.start()
    said = " ".join(node.output)
    node.output.clear()
    assert "Traceback" not in said
    return said


def sealed_by(dsn: str, keys: str) -> None:
    """Store an address that the first of these keys sealed."""
    with psycopg.connect(dsn) as connection:
        user_id = "5b3dd3ff-6d24-4f8d-8ee7-3c3cd0c3a5d2"
        connection.execute("INSERT INTO auth.users (id) VALUES (%s)", [user_id])
        connection.execute("INSERT INTO profiles (id, username) VALUES (%s, 'ann')", [user_id])
        seal = Seal(lambda: parse_keys(keys))
        connection.execute(
            "INSERT INTO playhall_auth.methods (user_id, kind, lookup, sealed, password_hash)"
            " VALUES (%s, 'email', %s, %s, 'x')",
            [
                user_id,
                method_indexes(seal, "email", EMAIL)[0],
                seal.seal(EMAIL.encode(), about=method_context("email", UserId(user_id))),
            ],
        )


def test_lost_key_file_is_named_and_none_is_made_in_its_place(
    used_data_dir: Path,
) -> None:
    folder = used_data_dir.parent
    file, backup = folder / "secret.key", folder / "backup"
    with Node(folder, None) as node:
        user_id = register(node)
        node.stop()
    shutil.copy(file, backup)

    file.unlink()
    said = refusal(node)
    assert f"The key file {file} is missing" in said
    assert "from a backup" in said
    assert not file.exists()

    found = playhall("accounts", "find", EMAIL, "--data-dir", folder)
    assert found.status == 1
    assert "is missing" in found.said
    assert not file.exists()

    shutil.copy(backup, file)
    with node:
        signed_in = post(node, "/v1/auth/email/sign-in", email=EMAIL, password=PASSWORD)
        assert signed_in["user_id"] == user_id
        node.stop()


@pytest.mark.parametrize(
    ("contents", "sentence"),
    [
        (None, "is missing"),
        (OTHER.encode(), "has no key 'test'"),
        (b"", "is damaged"),
        (b"\xff\xfe", "is damaged"),
        (b"k:AAAA", "is damaged"),
    ],
)
def test_key_file_that_does_not_open_what_is_stored_is_named_and_left_alone(
    tmp_path: Path, fresh_dsn: str, serving_dsn: str, contents: bytes | None, sentence: str
) -> None:
    sealed_by(fresh_dsn, SECRET_KEYS)
    file = tmp_path / "secret.key"
    if contents is not None:
        file.write_bytes(contents)
    said = refusal(Node(tmp_path, serving_dsn, secret_keys=""))
    assert sentence in said
    assert str(file) in said
    assert (file.read_bytes() if file.exists() else None) == contents


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        (OTHER, "PLAYHALL_SECRET_KEYS has no key 'test'"),
        (f"{OTHER},test:{'A' * 43}=", "The key 'test' in PLAYHALL_SECRET_KEYS is not the one"),
    ],
)
def test_other_keys_than_those_that_sealed_are_refused(
    tmp_path: Path, fresh_dsn: str, serving_dsn: str, keys: str, sentence: str
) -> None:
    sealed_by(fresh_dsn, SECRET_KEYS)
    assert sentence in refusal(Node(tmp_path, serving_dsn, secret_keys=keys))


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        (OTHER, "PLAYHALL_SECRET_KEYS has no key 'test', which sealed the secrets of webhooks"),
        (f"{OTHER},test:{'A' * 43}=", "is not the one that sealed the secrets of webhooks"),
        ("", "secret.key is missing, and key 'test' sealed the secrets of webhooks"),
    ],
)
def test_keys_that_do_not_open_secrets_of_webhooks_are_found_at_start(
    tmp_path: Path, fresh_dsn: str, serving_dsn: str, keys: str, sentence: str
) -> None:
    endpoint_id = "5b3dd3ff-6d24-4f8d-8ee7-3c3cd0c3a5d3"
    secret = Seal(lambda: parse_keys(SECRET_KEYS)).seal(
        b"a secret", about=secret_context(endpoint_id)
    )
    with psycopg.connect(fresh_dsn) as connection:
        connection.execute(
            "INSERT INTO webhook_endpoints (endpoint_id, url, events, secret)"
            " VALUES (%s, 'https://example.org', '{user.erased}', %s)",
            [endpoint_id, secret],
        )
    assert sentence in refusal(Node(tmp_path, serving_dsn, secret_keys=keys))
    assert not (tmp_path / "secret.key").exists()
    forgotten = playhall(
        *("keys", "forget", "test", "--yes", "--data-dir", tmp_path),
        environment={"PLAYHALL_DATABASE_URL": serving_dsn, "PLAYHALL_SECRET_KEYS": OTHER},
    )
    assert "Deleted 1 webhooks" in forgotten.said
    with Node(tmp_path, serving_dsn, secret_keys=OTHER):
        pass


def test_newer_keys_before_the_old_one_are_fine(
    tmp_path: Path, fresh_dsn: str, serving_dsn: str
) -> None:
    sealed_by(fresh_dsn, SECRET_KEYS)
    with Node(tmp_path, serving_dsn, secret_keys=f"{OTHER},{SECRET_KEYS}"):
        pass


def test_one_damaged_row_stops_nothing(tmp_path: Path, fresh_dsn: str, serving_dsn: str) -> None:
    sealed_by(fresh_dsn, SECRET_KEYS)
    with psycopg.connect(fresh_dsn) as connection:
        connection.execute(
            "INSERT INTO playhall_auth.methods (user_id, kind, lookup, sealed)"
            " SELECT user_id, 'discord', 'x', set_byte(sealed, 30, 0) || 'x'"
            " FROM playhall_auth.methods"
        )
    with Node(tmp_path, serving_dsn):
        pass


def test_damaged_signing_key_is_named(tmp_path: Path, fresh_dsn: str, serving_dsn: str) -> None:
    with Node(tmp_path, serving_dsn) as node:
        node.stop()
    with psycopg.connect(fresh_dsn) as connection:
        connection.execute("UPDATE playhall_auth.signing_keys SET private_pem = 'sealed:%%%'")
    said = refusal(node)
    assert "The signing key" in said
    assert "delete its row" in said
