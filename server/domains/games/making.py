"""A new game: its seed, its row, its first events. Nothing is stored here."""

import secrets
from typing import NamedTuple

from persistence.chain import genesis
from persistence.gamerow import GameRow
from persistence.log import Row
from persistence.newgame import NewGame
from protocol.ids import GameId, new_id
from server.domains.games.scribe import Scribe, Told
from server.gamekit.fold import AnyRuleset, Fold, Origin
from server.gamekit.table import Player, game_created, rules_own
from server.kernel.clock import Moment

SEED_BYTES = 16


class Made(NamedTuple):
    """A game that is ready to be stored; `scribe` stands behind the first rows."""

    row: GameRow
    scribe: Scribe
    first_rows: list[Row]
    first_told: list[Told]


def make_game(new: NewGame, ruleset: AnyRuleset, *, node: str, moment: Moment) -> Made:
    """Draw a seed, and set the game up by its rules."""
    row = _row(new, ruleset, node=node, moment=moment)
    players = tuple(Player(player.player_id, player.bot) for player in new.players)
    origin = Origin(ruleset, players, ruleset.config.model_validate(new.config), row.seed)
    scribe = Scribe(Fold(origin), genesis(row.id))
    created = game_created(
        ruleset.name,
        ruleset.version,
        players,
        new.config,
        row.seed,
        leavers_rank_last=ruleset.leavers_rank_last,
    )
    rows, told = scribe.write([created], moment=moment)
    more_rows, more_told = scribe.write(rules_own(ruleset.setup(scribe.fold.state)), moment=moment)
    return Made(row, scribe, rows + more_rows, told + more_told)


def _row(new: NewGame, ruleset: AnyRuleset, *, node: str, moment: Moment) -> GameRow:
    return GameRow(
        id=GameId(new_id()),
        ruleset=ruleset.name,
        ruleset_version=ruleset.version,
        seed=secrets.token_hex(SEED_BYTES),
        config=new.config,
        node=node,
        created_at=moment.at,
        players_min=min(ruleset.seats),
        lobby_id=new.lobby_id,
        lobby_version=new.lobby_version,
        is_public=new.is_public,
        join_code=new.join_code,
        seats=new.seats,
        taken=len(new.players),
    )
