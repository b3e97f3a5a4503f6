"""Data source names that are none, and what is said of them."""

import pytest

from persistence.dsn import EXAMPLE_URL, problem_of


@pytest.mark.parametrize(
    ("dsn", "problem"),
    [
        ("mysql://x", "it begins with mysql:, not with postgresql:"),
        ("localhost/playhall", "postgresql:// is missing at its beginning"),
        ("", "postgresql:// is missing at its beginning"),
        ("postgresql://", "the host is missing"),
        ("postgresql://host", "the database is missing"),
        ("postgresql://host:port/db", "the host or the port cannot be read"),
        ("postgresql://host:99999/db", "the host or the port cannot be read"),
        ("postgresql://[::1/db", "the host or the port cannot be read"),
        ("postgresql://host:0/db", "0 is no port"),
        ("postgresql://host/my db", "there is a space in it"),
    ],
)
def test_what_is_no_data_source_name_is_said(dsn: str, problem: str) -> None:
    assert problem_of(dsn) == problem


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
    assert problem_of(dsn) is None


def test_password_is_not_repeated() -> None:
    assert "secret" not in (problem_of("mysql://me:secret@host/db") or "")
