"""What a game brings, and what a player is shown. Pure."""

from collections.abc import Iterable, Mapping, Sequence

from persistence.achievements.store import Gain, StoredAchievement
from protocol.achievements import PlayerAchievement
from protocol.ids import PlayerId
from server.core.clock import wire_time_or_none
from server.gamekit.contract import Achievement, CompletedGame
from server.gamekit.fold import AnyRuleset

AMOUNT_MAX = 2**31 - 1  # of one game


def list_players(game: CompletedGame) -> list[PlayerId]:
    """List the people for whom a game counts: no bots, and nobody who left it."""
    return [
        player_id
        for seat, player_id in enumerate(game.players)
        if seat not in game.bots and not game.outcome.standings[seat].forfeited
    ]


def need_events(achievements: Iterable[Achievement]) -> bool:
    """Say whether any of these is counted from a game's events."""
    return any(each.reads_events for each in achievements)


def list_gains(game: CompletedGame, achievements: Sequence[Achievement]) -> list[Gain]:
    """Say what a game adds; raise `ValueError` for an amount that is none."""
    counted = set(list_players(game))
    gains = []
    for seat, player_id in enumerate(game.players):
        if player_id not in counted:
            continue
        for each in achievements:
            amount = int(each.count(game, seat))
            if not 0 <= amount <= AMOUNT_MAX:
                raise ValueError(f"{each.key} counted {amount} for seat {seat}")
            if amount:
                gains.append(Gain(player_id, each.key, amount, each.steps))
    return gains


def show(
    rulesets: Iterable[AnyRuleset], stored: Iterable[StoredAchievement]
) -> list[PlayerAchievement]:
    """Show how far a player is; a hidden achievement only once it is granted."""
    progress: Mapping[tuple[str, str], StoredAchievement] = {
        (each.ruleset, each.key): each for each in stored
    }
    shown = []
    for ruleset in rulesets:
        for each in ruleset.achievements:
            found = progress.get((ruleset.name, each.key))
            granted_at = None if found is None else found.granted_at
            if each.hidden and granted_at is None:
                continue
            shown.append(
                PlayerAchievement(
                    ruleset=ruleset.name,
                    key=each.key,
                    title=each.title,
                    description=each.description,
                    points=each.points,
                    steps=each.steps,
                    progress=0 if found is None else min(found.progress, each.steps),
                    granted_at=wire_time_or_none(granted_at),
                    game_id=None if found is None else found.game_id,
                )
            )
    return shown
