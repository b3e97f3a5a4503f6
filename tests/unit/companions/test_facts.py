"""Facts that people say of themselves are found, and questions are none."""

import pytest

from server.domains.social.companions.facts import FACTS_MAX, find_facts


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("My name is Ada.", {"name": "Their name is Ada"}),
        ("Hi, call me Ada Lovelace", {"name": "Their name is Ada Lovelace"}),
        (
            "I live in Oslo and I like fog",
            {"place": "They live in Oslo", "like:fog": "They like fog"},
        ),
        ("I like fog. I don't like fog!", {"like:fog": "They do not like fog"}),
        ("I don\u2019t really like rain", {"like:rain": "They do not like rain"}),
        ("I don't like fog any more.", {"like:fog": "They do not like fog"}),
        ("I live in Bergen now, too!", {"place": "They live in Bergen"}),
        ("My favourite Colour is teal", {"favourite:colour": "Their favourite colour is teal"}),
        ("Well, I'm working on a film, slowly", {"project": "They are working on a film"}),
        ("Remember that the dog is Rex", {"fact:the dog is rex": "They said: the dog is Rex"}),
        ("Do I like fog?", {}),
        ("My name is what?", {}),
        ("Would I live in Oslo if I like fog", {}),
        ("Bob says my name is Eve", {}),
        ("", {}),
    ],
)
def test_facts_of_a_message(text: str, facts: dict[str, str]) -> None:
    assert {each.subject: each.content for each in find_facts(text)} == facts


def test_a_long_message_costs_little_and_gives_few_facts() -> None:
    assert len(find_facts("I like x. " * 400)) == 1
    assert len(find_facts(". ".join(f"I like {n}" for n in range(200)))) == FACTS_MAX
    assert find_facts("I like " * 570) == []
