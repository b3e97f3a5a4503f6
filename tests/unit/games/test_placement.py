"""Which node a new game goes to."""

from datetime import UTC, datetime
from random import seed

from persistence.games.store import NodeRow
from server.domains.play.games.placement import choose_node

HERE = NodeRow("here", "", "0.1.0", 20, 0, 0.5, False, "all", 5.0, datetime.now(UTC))


def row(node: str, games: int, **other: object) -> NodeRow:
    return HERE._replace(node=node, games=games, **other)


def test_a_game_stays_where_it_is_made_while_nodes_have_about_as_many() -> None:
    assert choose_node(HERE, [row("other", 14)]) == "here"
    assert choose_node(HERE, []) == "here"
    assert choose_node(row("here", 2), [row("other", 0)]) == "here"


def test_a_node_with_many_games_sends_new_ones_to_one_with_fewer() -> None:
    assert choose_node(HERE, [row("other", 13)]) == "other"


def test_only_nodes_that_serve_and_play_the_same_games_are_chosen() -> None:
    unfit = [
        row("gone", 0, lease_s=-1.0),
        row("going", 0, is_draining=True),
        row("older", 0, plays="less"),
        row("busy", 0, load=0.9),
    ]
    assert choose_node(HERE, unfit) == "here"
    assert choose_node(HERE, [*unfit, row("fit", 2)]) == "fit"


def test_many_games_at_once_are_spread_over_the_nodes() -> None:
    seed(1)
    others = [row(f"n{n}", n) for n in range(5)]
    chosen = {choose_node(HERE, others) for _ in range(200)}
    assert chosen == {"n0", "n1", "n2", "n3"}  # of any two, the busiest is never the better one
