"""What groups of notifications are called."""

import pytest

from server.domains.social.notifications.rules import TYPES, summarise, wanted_types


@pytest.mark.parametrize(
    ("kind", "names", "actors", "count", "summary"),
    [
        ("creation_liked", ["Ada"], 1, 1, "Ada liked your creation"),
        ("creation_liked", ["Ada", "Bob"], 2, 2, "Ada and Bob liked your creation"),
        ("creation_liked", ["Ada", "Bob", "Cy"], 13, 13, "Ada and 12 others liked your creation"),
        ("creation_commented", ["Ada"], 1, 4, "TITLE"),
        ("new_follower", ["Ada", "Bob"], 2, 2, "Ada and Bob follow you"),
        ("creation_published", ["Ada"], 1, 3, "Ada published 3 new creations"),
        ("creation_published", ["Ada"], 1, 1, "TITLE"),
        ("mention", ["Ada", "Bob"], 2, 2, "TITLE"),
        ("system_announcement", [], 0, 1, "TITLE"),
        ("creation_liked", [], 3, 3, "TITLE"),  # their profiles are gone
    ],
)
def test_a_group_names_who_did_it(
    kind: str, names: list[str], actors: int, count: int, summary: str
) -> None:
    title = "Ada liked your creation" if actors == count == 1 and "liked" in kind else "TITLE"
    assert summarise(kind, title, names=names, actors=actors, count=count) == summary


def test_everything_is_wanted_that_was_not_turned_off() -> None:
    wanted = wanted_types({"mention": False, "new_follower": "false", "creation_liked": 1, "x": 0})
    assert [kind for kind in TYPES if not wanted[kind]] == ["new_follower", "mention"]
