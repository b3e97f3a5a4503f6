"""How often one asker may ask."""

import pytest

from protocol.errors import RateLimited
from server.domains.profiles import pace
from server.domains.profiles.pace import Pace


def test_a_burst_is_allowed_and_what_flows_back_after_it() -> None:
    asked = Pace(rate_per_s=0.5, burst=2)
    for _ in range(2):
        asked.require("ann", 0.0)
    with pytest.raises(RateLimited, match="ask again in 2 s"):
        asked.require("ann", 0.0)
    asked.require("ann", 2.0)
    with pytest.raises(RateLimited):
        asked.require("ann", 2.0)


def test_askers_do_not_slow_each_other() -> None:
    asked = Pace(rate_per_s=0.5, burst=1)
    asked.require("ann", 0.0)
    asked.require("bob", 0.0)


def test_the_longest_silent_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "ASKERS_MAX", 2)
    asked = Pace(rate_per_s=0.5, burst=1)
    for asker in ("ann", "bob", "cid"):
        asked.require(asker, 0.0)
    assert len(asked) == 2
    asked.require("ann", 0.0)
    with pytest.raises(RateLimited):
        asked.require("cid", 0.0)
