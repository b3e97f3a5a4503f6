"""Data source names that are none, and what is said of them."""

import re
from pathlib import Path

import pytest

from persistence.dsn import EXAMPLE_URL, UNREADABLE, InvalidDsn, find_dsn_problem, normalise_dsn


@pytest.mark.parametrize(
    ("dsn", "problem"),
    [
        ("mysql://x", "it begins with mysql:, not with postgresql:"),
        ("localhost/playhall", "it must begin with postgresql://"),
        ("", "it must begin with postgresql://"),
        ("postgresql://", "the host is missing"),
        ("postgresql://host", "the database is missing"),
        ("postgresql://host:port/db", UNREADABLE),
        ("postgresql://host:99999/db", UNREADABLE),
        ("postgresql://[::1/db", UNREADABLE),
        ("postgresql://host:0/db", "0 is no port"),
        ("postgresql://host/my db", "it contains a space"),
    ],
)
def test_what_is_no_data_source_name_is_said(dsn: str, problem: str) -> None:
    assert find_dsn_problem(dsn) == problem


@pytest.mark.parametrize(
    "dsn",
    [
        EXAMPLE_URL,
        "postgres://host/db?sslmode=require",
        "postgresql:///db?host=/run/postgresql",
        "postgresql://u@[::1]:5433/db",
    ],
)
def test_data_source_name_is_taken(dsn: str) -> None:
    assert find_dsn_problem(dsn) is None


def test_password_is_not_repeated() -> None:
    assert "secret" not in (find_dsn_problem("mysql://me:secret@host/db") or "")


@pytest.mark.parametrize(
    ("given", "normal"),
    [
        ("connect_timeout=10&keepalives=1&application_name=x", ""),
        ("pgbouncer=true&connection_limit=5", ""),
        ("schema=public&channel_binding=prefer&gssencmode=disable", ""),
        ("client_encoding=UTF8", ""),
        ("ssl=true", "?sslmode=require"),
        ("ssl=0", "?sslmode=disable"),
        ("ssl=true&sslmode=disable", "?sslmode=disable"),
        ("sslmode=require&options=-c%20a%3Db%2Bc", "?sslmode=require&options=-c%20a%3Db%2Bc"),
        ("database=other", "?dbname=other"),
        ("target_session_attrs=read-write", "?target_session_attrs=read-write"),
    ],
)
def test_parameters_of_hosters_come_out_as_both_drivers_know_them(given: str, normal: str) -> None:
    assert normalise_dsn(f"postgresql://u:p%40@h:1,i:2/db?{given}") == (
        f"postgresql://u:p%40@h:1,i:2/db{normal}"
    )


@pytest.mark.parametrize(
    "given",
    ["sslmode=require&channel_binding=require", "sslrootcert=system", "sslmode=verify-full"],
)
def test_demands_that_need_a_checked_certificate_have_it_checked(
    given: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bundle = tmp_path / "authorities.pem"
    bundle.touch()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("persistence.dsn._BUNDLES", (str(bundle),))
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    said = normalise_dsn(f"postgresql://u@h/db?{given}")
    assert "sslmode=verify-full" in said
    assert f"sslrootcert={str(bundle).replace('/', '%2F')}" in said
    assert "channel_binding" not in said


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ("sslmode=no-verify", "sslmode=no-verify is none of disable, "),
        ("ssl=maybe", "ssl=maybe is unclear"),
        ("sslmode=verify-ca", "sslmode=verify-ca needs sslrootcert"),
        ("sslmode=require&sslrootcert=system", "sslrootcert=system needs sslmode=verify-full"),
        ("sslmode=verify-full&sslrootcert=/no/such.pem", "/no/such.pem of sslrootcert cannot be"),
        ("sslcert=/no/cert&sslkey=/no/key", "of sslcert cannot be read"),
        ("schema=games", "schema=games is not possible with Playhall; write public, or leave it"),
        ("channel_binding=always", "channel_binding=always"),
        ("client_encoding=latin1", "client_encoding=latin1"),
        ("target_session_attrs=standby", "target_session_attrs=standby"),
        ("require_auth=scram-sha-256", "does not know the parameter require_auth; leave it out"),
        ("statement_timeout=5", "does not know the parameter statement_timeout"),
        ("sslaccept=strict", "does not know the parameter sslaccept"),
        ("sslmode", "its parameter sslmode has no value"),
    ],
)
def test_parameters_that_cannot_be_followed_are_named(
    given: str, named: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(InvalidDsn, match=re.escape(named)) as refused:
        normalise_dsn(f"postgresql://u:secret@h/db?{given}")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("password", ["a@b", "a#b", "a/b"])
def test_passwords_that_are_not_encoded_are_asked_to_be(password: str) -> None:
    with pytest.raises(InvalidDsn, match="write @ as %40") as refused:
        normalise_dsn(f"postgresql://u:{password}@h/db")
    assert password not in str(refused.value)
