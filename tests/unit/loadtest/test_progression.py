"""What the load test expects of a server, against what the server's rules say."""

from itertools import pairwise

import pytest

from loadtest.benching import direct
from loadtest.progression.recording import checksum_of
from loadtest.progression.rollout import Question, expected, is_offered
from server.domains.progression.packages.rules import is_in_rollout
from server.domains.progression.saves.states import canonicalise_state
from server.ops.seeding import story


def package(package_id, version, **other):
    return {
        "package_id": package_id,
        "name": "story",
        "version": version,
        "kind": "content",
        "channel": "stable",
        "locale": "und",
        "status": "released",
        "rollout_percent": 100,
        "required_client_version": "1.0.0",
        **other,
    }


@pytest.mark.parametrize("percent", [1, 25, 99])
def test_share_of_a_rollout_is_the_servers(percent):
    accounts = [f"account {number}" for number in range(500)]
    ours = [is_offered("package", percent, account) for account in accounts]
    assert ours == [is_in_rollout("package", percent, account) for account in accounts]
    assert any(ours)
    assert not all(ours)


def test_the_most_specific_locale_and_the_highest_usable_version_are_expected():
    packages = [
        package("old", "1.9.0"),
        package("new", "1.10.0"),
        package("too new", "2.0.0", required_client_version="3.0.0"),
        package("withdrawn", "1.11.0", status="withdrawn"),
        package("beta", "1.12.0", channel="beta"),
        package("german", "1.2.0", locale="de"),
        package("mod", "9.0.0", name="hats", kind="mod"),
    ]
    assert expected(packages, Question("2.0.0", "en", ("stable",)), "ann") == {"new"}
    assert expected(packages, Question("2.0.0", "en", ("stable", "beta")), "ann") == {"beta"}
    assert expected(packages, Question("2.0.0", "de-AT", ("stable",)), "ann") == {"german"}
    assert expected(packages, Question("0.9.0", "en", ("stable",)), "ann") == set()


def test_checksums_are_the_servers():
    state = {"b": [1, "ü"], "a": {"z": True, "é": None}}
    assert checksum_of(state) == canonicalise_state(state).checksum


def test_statements_past_the_server_are_complete():
    script = direct.saves_script([("slot 1", "account 1"), ("slot 2", "account 2")], "{}")
    assert "$" not in script
    assert "'slot 1', 'slot 2'" in script
    assert script.index("set_config") < script.index("FOR NO KEY UPDATE") < script.index("INSERT")


def test_each_readers_story_ends():
    orders = [story.step_order(scene) for scene in story.SCENES]
    assert all(one < next_one for one, next_one in pairwise(orders))
    reached, waiting = set(), [story.START]
    while waiting:
        scene = waiting.pop()
        if scene not in reached:
            reached.add(scene)
            options = story.SCENES[scene].options.values() if scene in story.SCENES else ()
            waiting += [option.to for option in options]
    assert reached == {*story.SCENES, *story.ENDINGS}
