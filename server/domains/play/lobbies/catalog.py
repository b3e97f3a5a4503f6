"""What the rulesets allow in a lobby, and lobbies drafted by it, in which nobody sits yet. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import orjson
from pydantic import ValidationError

from persistence.lobbies.model import Lobby, QuickPlayCriteria
from protocol.codec import describe_validation_error, replace_whole_floats
from protocol.errors import InvalidField, UnknownBot, UnknownRuleset
from protocol.ids import LobbyId, new_id
from protocol.limits import CONFIG_BYTES_MAX
from protocol.lobbies import SPECTATORS_MAX, NewLobby
from server.domains.play.lobbies.rules import player_count_text, require_seats_bounded
from server.gamekit.contract import RulesetConfig
from server.gamekit.fold import AnyRuleset

QUICK_PLAY_SEATS: Final = 4
FREE_CONFIG_DEPTH_MAX: Final = 8
PEER_SEATS: Final = 4  # of a peer lobby, where its host does not say


class RulesetCatalog:
    """The rulesets that this server runs, by name."""

    def __init__(self, rulesets: Mapping[str, AnyRuleset]) -> None:
        self._rulesets = rulesets

    def ruleset(self, name: str) -> AnyRuleset:
        """Find a ruleset, or refuse."""
        if name not in self._rulesets:
            raise UnknownRuleset
        return self._rulesets[name]

    def require_bot(self, ruleset: str, bot: str) -> None:
        """Refuse a bot that the ruleset does not have."""
        bots = self.ruleset(ruleset).bots
        if bot not in bots:
            raise UnknownBot(f"{ruleset} has no bot {bot}; it has: {', '.join(bots) or 'none'}.")


def validate_config(ruleset: AnyRuleset, config: dict[str, Any]) -> dict[str, Any]:
    """Validate a configuration and complete it with what the ruleset takes by default."""
    try:
        complete = _parsed(ruleset.config, config)
    except ValidationError as error:
        problem = describe_validation_error(error)
        raise InvalidField(f"config.{problem.message}", field=f"config.{problem.field}") from None
    return _bounded(orjson.dumps(complete.model_dump(mode="json")))


def _parsed(model: type[RulesetConfig], config: dict[str, Any]) -> RulesetConfig:
    """Validate as JSON, where a list is a tuple too, and a whole float an integer."""
    try:
        return model.model_validate_json(orjson.dumps(config))
    except ValidationError as error:
        if not replace_whole_floats(config, error):
            raise
    return model.model_validate_json(orjson.dumps(config))


def _bounded(canonical: bytes) -> dict[str, Any]:
    if len(canonical) > CONFIG_BYTES_MAX:
        problem_text = f"config: {len(canonical)} bytes exceed the limit of {CONFIG_BYTES_MAX}."
        raise InvalidField(problem_text, field="config")
    if rb"\u0000" in canonical:
        raise InvalidField("config: remove the character U+0000.", field="config")
    return dict(orjson.loads(canonical))


def validate_free_config(config: dict[str, Any]) -> dict[str, Any]:
    """Check a configuration that means nothing to this server: its size and depth only."""
    if _depth(config) > FREE_CONFIG_DEPTH_MAX:
        problem = f"config: nested more than {FREE_CONFIG_DEPTH_MAX} levels deep."
        raise InvalidField(problem, field="config")
    return _bounded(orjson.dumps(config))


def validate_seats(ruleset: AnyRuleset, seats: int | None) -> int:
    """Check a number of seats; the ruleset's most, if None."""
    if seats is None:
        return ruleset.seats[-1]
    if seats not in ruleset.seats:
        raise InvalidField(
            f"seats: {ruleset.name} takes {player_count_text(ruleset.seats)} players.",
            field="seats",
        )
    return seats


def quick_play_seats(ruleset: AnyRuleset) -> int:
    """Choose the seats of a quick-play lobby where the player does not mind."""
    return min(ruleset.seats, key=lambda seats: abs(seats - QUICK_PLAY_SEATS))


def _depth(value: object) -> int:
    """Count the levels of a JSON value; the codec has bounded them for the recursion."""
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    return 0


def draft_lobby(new: NewLobby, ruleset: AnyRuleset, created_at: datetime) -> Lobby:
    """Draft what somebody wishes to host, or refuse; its password is not in it."""
    seats = validate_seats(ruleset, new.seats)
    require_seats_bounded(new.tables, seats)
    return Lobby(
        lobby_id=LobbyId(new_id()),
        name=new.name or ruleset.title,
        mode="server",
        ruleset=ruleset.name,
        region=new.region,
        config=validate_config(ruleset, new.config),
        seats=seats,
        tables=new.tables,
        spectators_max=SPECTATORS_MAX,
        is_public=new.is_public,
        created_at=created_at,
        members=(),
    )


def draft_peer_lobby(new: NewLobby, created_at: datetime) -> Lobby:
    """Draft a lobby whose game runs on its host's machine, whatever that game is."""
    if new.tables > 1:
        problem = "tables: only games on the server can have several; leave out `mode`."
        raise InvalidField(problem, field="tables")
    return Lobby(
        lobby_id=LobbyId(new_id()),
        name=new.name or new.ruleset,
        mode="peer",
        ruleset=new.ruleset,
        region=new.region,
        config=validate_free_config(new.config),
        seats=PEER_SEATS if new.seats is None else new.seats,
        spectators_max=SPECTATORS_MAX,
        is_public=new.is_public,
        created_at=created_at,
        members=(),
    )


def draft_quick_play_lobby(
    fit: QuickPlayCriteria, ruleset: AnyRuleset, *, created_at: datetime, fill_at: datetime
) -> Lobby:
    """Draft a quick-play lobby that fits; nobody will be its host."""
    return Lobby(
        lobby_id=LobbyId(new_id()),
        name=ruleset.title,
        mode="server",
        ruleset=fit.ruleset,
        config=fit.config,
        seats=fit.seats or quick_play_seats(ruleset),
        spectators_max=SPECTATORS_MAX,
        is_public=True,
        quick_play=True,
        created_at=created_at,
        fill_at=fill_at,
        members=(),
    )
