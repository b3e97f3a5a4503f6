"""Points: for a round, and what they come to in the end."""

from collections.abc import Iterable

from protocol.ids import PlayerId
from server.gamekit.contract import Event, Outcome, Payload, Standing
from server.rulesets.el_dorado import events
from server.rulesets.el_dorado.state import State


def round_points(bid: int, tricks: int) -> int:
    """Give the points of one round: 5 + bid, won if the bid was made exactly, else lost."""
    return 5 + bid if tricks == bid else -(5 + bid)


def round_result(state: State, last_winner: int) -> Event:
    """Score the round that ends with a trick for `last_winner`."""
    players: Payload = {}
    for seat in state.playing:
        bid, tricks = state.bids[seat], state.tricks[seat] + (seat == last_winner)
        assert bid is not None
        players[state.players[seat]] = {
            "bid": bid,
            "tricks": tricks,
            "delta": round_points(bid, tricks),
        }
    assert state.trump is not None
    return events.round_scored(state.round, cards=state.cards, trump=state.trump, players=players)


def outcome(state: State) -> Outcome:
    """Give everybody's standing; the highest total wins, ties share the win."""
    best = max(state.totals)
    standings = tuple(
        _standing(state, seat, is_winner=total == best) for seat, total in enumerate(state.totals)
    )
    return Outcome(standings, list(state.results))


def _standing(state: State, seat: int, *, is_winner: bool) -> Standing:
    rounds = list(_rounds_of(state, state.players[seat]))
    played = [result for result in rounds if result is not None]
    # A round that was missed by absence ends both kinds of run.
    made = [None if result is None else result["delta"] > 0 for result in rounds]
    statistics = {"tricks_won": sum(result["tricks"] for result in played)}
    if played:
        statistics["highest_bid"] = max(result["bid"] for result in played)
    return Standing(
        seat=seat,
        score=state.totals[seat],
        is_winner=is_winner,
        statistics=statistics,
        longest_win_streak=_longest_run(made, True),
        longest_loss_streak=_longest_run(made, False),
    )


def _rounds_of(state: State, player: PlayerId) -> Iterable[Payload | None]:
    return (result["players"].get(player) for result in state.results)


def _longest_run(values: Iterable[bool | None], wanted: bool) -> int:
    longest = run = 0
    for value in values:
        run = run + 1 if value is wanted else 0
        longest = max(longest, run)
    return longest
