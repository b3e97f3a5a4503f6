"""Days in time zones, on a whole server: zones that change their clocks, and a change of zone."""

import json
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest

from tests.fixtures.node import SECRET_KEYS, Node
from tests.fixtures.shell import playhall
from tests.integration.epochs.stage import profile

WAIT_S = 30
HOUR = timedelta(hours=1)


class Times(NamedTuple):
    """When a day begins and ends."""

    day: str
    starts_at: datetime
    ends_at: datetime


def _times(day: dict[str, Any]) -> Times:
    return Times(day["day"], _time(day["starts_at"]), _time(day["ends_at"]))


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


class Hall:
    """A server, and its database to move the clock and change the profile in."""

    def __init__(self, node: Node, dsn: str) -> None:
        self.node = node
        self._dsn = dsn

    def use_zone(self, zone: str) -> None:
        """Let new days be made by a profile in this zone."""
        rules = json.dumps(profile(cadence={"timezone": zone}))
        key = zone.lower().replace("/", "-").replace("_", "-")
        with psycopg.connect(self._dsn) as connection:
            connection.execute("UPDATE epoch_profiles SET is_active = false")
            connection.execute(
                "INSERT INTO epoch_profiles (profile_key, version, config, is_active)"
                " VALUES (%s, 1, %s, true)",
                [key, rules],
            )

    def begin(self, zone: str, moment: datetime) -> None:
        """Start the server at a time; the first day it makes is one of this zone."""
        self.use_zone(zone)
        self.set_clock(moment)
        self.node.start()

    def end(self) -> None:
        if self.node.url:
            self.node.kill()

    def set_clock(self, moment: datetime) -> None:
        with psycopg.connect(self._dsn) as connection:
            connection.execute("DELETE FROM epoch_clock")
            connection.execute("INSERT INTO epoch_clock (epoch_at, speed) VALUES (%s, 1)", [moment])

    def days_at(self, moment: datetime) -> list[Times]:
        """Move the clock, wait until a day is live, and give all days, the first one first."""
        self.set_clock(moment)
        deadline = time.monotonic() + WAIT_S
        while True:
            days = self._get("/v1/epochs")["epochs"]
            for day in days:
                starts_at, freeze_at = _time(day["starts_at"]), _time(day["freeze_at"])
                if day["phase"] == "live" and starts_at <= moment < freeze_at:
                    return [_times(day) for day in reversed(days)]
            assert time.monotonic() < deadline, f"nothing is live at {moment}: {days}"
            time.sleep(0.05)

    def _get(self, path: str) -> Any:
        with urllib.request.urlopen(self.node.url + path) as response:
            return json.load(response)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.fixture
def hall(tmp_path: Path, fresh_dsn: str, serving_dsn: str) -> Iterator[Hall]:
    hall = Hall(Node(tmp_path, serving_dsn), fresh_dsn)
    yield hall
    hall.end()


@pytest.mark.parametrize(
    ("zone", "clocks_change", "hours"),
    [
        ("Europe/Berlin", "2026-03-29", 23),
        ("Europe/Berlin", "2026-10-25", 25),
        ("Australia/Lord_Howe", "2026-04-05", 24.5),
        ("Africa/Cairo", "2026-04-24", 23),  # there is no midnight on this day
    ],
)
def test_a_day_whose_clocks_change_is_live_in_every_hour(
    hall: Hall, zone: str, clocks_change: str, hours: float
) -> None:
    noon = at(f"{clocks_change}T09:00")
    hall.begin(zone, noon)
    days = hall.days_at(noon)
    assert days[-1].day == clocks_change
    assert days[-1].ends_at - days[-1].starts_at == hours * HOUR
    days = hall.days_at(days[-1].ends_at - timedelta(minutes=30))  # the hour that was lost
    assert days[0].day == clocks_change
    first, second = hall.days_at(days[0].ends_at)
    assert first == days[0]
    assert second.starts_at == first.ends_at


@pytest.mark.parametrize(
    ("zone", "hours"), [("Europe/Berlin", 23), ("America/New_York", 29), ("Pacific/Pago_Pago", 35)]
)
def test_no_hour_is_lost_when_the_zone_changes(hall: Hall, zone: str, hours: float) -> None:
    hall.begin("UTC", at("2026-02-12T10:00"))
    hall.days_at(at("2026-02-12T10:00"))
    hall.use_zone(zone)
    first, between = hall.days_at(at("2026-02-13T00:00"))
    assert (first.day, between.day) == ("2026-02-12", "2026-02-13")
    assert between.starts_at == first.ends_at
    assert between.ends_at - between.starts_at == hours * HOUR
    _, _, usual = hall.days_at(between.ends_at)
    assert usual.starts_at == between.ends_at
    assert usual.ends_at - usual.starts_at == 24 * HOUR
    logged = [line for line in hall.node.output if "follows the day before it" in line]
    assert len(logged) == 1
    assert not [line for line in hall.node.output if "WARNING" in line and "epoch" in line]


def test_a_server_on_a_machine_without_time_zones_has_its_days(
    tmp_path: Path, fresh_dsn: str, serving_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONTZPATH", "")
    hall = Hall(Node(tmp_path, serving_dsn), fresh_dsn)
    hall.begin("Asia/Tokyo", at("2026-02-12T10:00"))
    (day,) = hall.days_at(at("2026-02-12T10:00"))
    hall.end()
    assert day.starts_at == at("2026-02-11T15:00")


def spoil(dsn: str) -> None:
    """Let the active profile name a time zone that this machine does not have."""
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "UPDATE epoch_profiles"
            " SET config = jsonb_set(config, '{cadence,timezone}', '\"Mars/Olympus\"')"
        )


def test_a_zone_that_is_not_known_stops_the_start_with_a_sentence(
    tmp_path: Path, fresh_dsn: str, serving_dsn: str
) -> None:
    spoil(fresh_dsn)
    environment = {"PLAYHALL_DATABASE_URL": serving_dsn, "PLAYHALL_SECRET_KEYS": SECRET_KEYS}
    done = playhall(
        "serve", "--port", 0, "--data-dir", tmp_path, environment=environment
    )  # fmt: skip
    assert done.status == 1
    assert "'daily-v1' cannot be used here. cadence.timezone: " in done.said
    assert "PLAYHALL_EPOCHS=false" in done.said
    done.assert_plain()


@pytest.mark.parametrize(
    "arguments", [("profiles",), ("advance",), ("bots", 1, "--live", "--yes"), ("status",)]
)
def test_the_console_says_so_too(
    tmp_path: Path, fresh_dsn: str, serving_dsn: str, arguments: tuple[object, ...]
) -> None:
    spoil(fresh_dsn)
    environment = {
        "PLAYHALL_DATABASE_URL": serving_dsn,
        "PLAYHALL_DATA_DIR": str(tmp_path),
        "PLAYHALL_SECRET_KEYS": SECRET_KEYS,
    }
    done = playhall("epoch", *arguments, environment=environment)
    if arguments[0] in ("profiles", "status"):  # the way out, and what needs no time zone
        assert done.status == 0
    else:
        assert "cadence.timezone" in done.said
    done.assert_plain()
