"""Tournaments as they are sent."""

from datetime import UTC, datetime
from typing import Final, cast
from uuid import UUID

from persistence.tournaments.store import (
    PairingPlace,
    PairingRow,
    ShownPairing,
    StoredEntrant,
    StoredTournament,
    TournamentPlace,
)
from protocol import tournaments as wire
from server.core.clock import wire_fields, wire_time_or_none
from server.core.cursors import CursorCodec
from server.domains.compete.tournaments.rules import Entrant, Pairing
from server.domains.compete.tournaments.standings import TableRow, build_table

TOURNAMENTS: Final = CursorCodec("tournaments", TournamentPlace, datetime, UUID)
PAIRINGS: Final = CursorCodec("pairings", PairingPlace, int, int, int, int_max=2**31 - 1)
START: Final = TournamentPlace(
    datetime.max.replace(tzinfo=UTC), "00000000-0000-0000-0000-000000000000"
)
FIRST_PAIRING: Final = PairingPlace(0, 0, 0)


def tournament_view(stored: StoredTournament) -> wire.Tournament:
    """Show a tournament."""
    fields = wire_fields(stored)
    del fields["now"]
    return wire.Tournament(**fields)


def pairing_view(row: ShownPairing) -> wire.PairingView:
    """Show a pairing."""
    second = None
    if row.second is not None:
        assert row.second_player is not None
        second = wire.TournamentSeat(
            player_id=row.second_player,
            display_name=row.second_name or "",
            entrant=row.second,
            points=_points(row.second_points),
            is_ready=row.second_ready,
        )
    return wire.PairingView(
        pairing_id=row.pairing_id,
        round=row.round,
        board=row.board,
        attempt=row.attempt,
        status=row.status,
        kind=row.kind,
        first=wire.TournamentSeat(
            player_id=row.first_player,
            display_name=row.first_name,
            entrant=row.first,
            points=_points(row.first_points),
            is_ready=row.first_ready,
        ),
        second=second,
        ready_by=wire_time_or_none(row.ready_by),
        lobby_id=row.lobby_id,
        game_id=row.game_id,
    )


def standings_view(
    stored: StoredTournament, entrants: list[StoredEntrant], pairings: list[PairingRow]
) -> wire.Standings:
    """Rank the entrants and show the table."""
    people = {entrant.number: entrant for entrant in entrants}
    table = build_table(
        stored.format,
        [read_entrant(entrant) for entrant in entrants],
        [read_pairing(pairing) for pairing in pairings],
    )
    return wire.Standings(
        tournament_id=stored.tournament_id,
        version=stored.version,
        round=stored.round,
        standings=[_row(row, people[row.number]) for row in table],
    )


def read_entrant(stored: StoredEntrant) -> Entrant:
    """Give the rules an entrant."""
    return Entrant(stored.number, not stored.is_withdrawn)


def read_pairing(row: PairingRow) -> Pairing:
    """Give the rules a pairing."""
    points = None
    if row.first_points is not None and row.second_points is not None:
        points = (row.first_points, row.second_points)
    return Pairing(row.round, row.board, row.first, row.second, row.kind, points, row.attempt)


def pairing_row(pairing: Pairing) -> PairingRow:
    """Write what the rules paired."""
    first, second = pairing.points or (None, None)
    return PairingRow(
        pairing.round,
        pairing.board,
        pairing.first,
        pairing.second,
        pairing.kind,
        pairing.attempt,
        first,
        second,
    )


def _row(row: TableRow, entrant: StoredEntrant) -> wire.StandingsRow:
    return wire.StandingsRow(
        place=row.place,
        player_id=entrant.player_id,
        display_name=entrant.display_name,
        is_bot=entrant.bot is not None,
        entrant=row.number,
        is_withdrawn=entrant.is_withdrawn,
        points=row.points,
        wins=row.wins,
        draws=row.draws,
        losses=row.losses,
        buchholz=row.buchholz,
        sonneborn_berger=row.sonneborn_berger,
        head_to_head=row.head_to_head,
        survived=row.survived,
    )


def _points(points: int | None) -> wire.Points | None:
    return cast("wire.Points | None", points)  # the database checks it
