"""Reports and tables for a terminal: any ruleset's view, as JSON, in few lines.

Text of others (names, moves, event types) is never markup and never a control sequence.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from server.gamekit.contract import Payload
from server.gamekit.table import TableSeat
from server.ops.audit.findings import Report
from server.ops.audit.rebuild import PlayerRecount
from server.ops.audit.replay import Replay, ReplayView, ShownEvent

CELL_CHARS_MAX: Final = 400
_CARD: Final = re.compile(r"d(\d):(spades|hearts|diamonds|clubs):(\w{1,2})")
_SUITS: Final = {"spades": "♠", "hearts": "♥", "diamonds": "♦", "clubs": "♣"}
_MARKS: Final = {True: ("✓", "green"), False: ("✗", "bold red"), None: ("-", "yellow")}

# What stands for a text, for example `seat 2` for the id of the player who sits there.
Names = Mapping[str, str]


# ------------------------------------------------------------------ reports


def report_text(report: Report) -> Text:
    """Show every finding, one a line."""
    lines = [report_line(report)]
    for finding in report.findings:
        mark, style = _MARKS[finding.holds]
        line = Text(f"  {mark} {finding.check:<13}", style)
        lines.append(line.append_text(strip_control_characters(finding.sentence, "default")))
    return Text("\n").join(lines)


def report_line(report: Report) -> Text:
    """Show a whole report in one line."""
    mark, style = _MARKS[report.holds]
    title = f" game {report.game_id}  {report.title}, {report.events} events"
    return Text(mark, style).append_text(strip_control_characters(title))


def format_recount(account: PlayerRecount) -> Text:
    """Show what a recount of one player came to."""
    mark, style = _MARKS[account.repaired]
    done = "put right" if account.repaired else account.problem or "not as the logs have it"
    lines = [
        Text(mark, style).append_text(
            strip_control_characters(f" player {account.player_id}: {done}")
        )
    ]
    for column, stored, counted in account.differences:
        lines.append(Text(f"  {column:<24} is {stored}, the logs give {counted}", "default"))
    return Text("\n").join(lines)


# ------------------------------------------------------------------ tables


def replay_text(replay: Replay, gaze: ReplayView) -> RenderableType:
    """Show the game where the replay stands: players, events around, and the table."""
    seats = replay.fold.table.seats
    names: Names = {str(occupant.player_id): f"seat {n}" for n, occupant in enumerate(seats)}
    parts: list[RenderableType] = [_header(replay, gaze), _players(replay), Text("")]
    parts += [_events(replay.events_around(gaze), names)]
    for viewer, snapshot in replay.snapshots(gaze).items():
        title = "the table" if viewer is None else f"the table, from seat {viewer}"
        parts += [Text(""), Text(title, "bold"), snapshot_table(snapshot, names)]
    return Group(*parts)


def snapshot_table(snapshot: Payload, names: Names) -> Table:
    """Show a view: one line a field, lists and objects inline."""
    grid = Table.grid(padding=(0, 2))
    for key, value in snapshot.items():
        grid.add_row(
            strip_control_characters(key, "cyan"),
            Text("\n").join(map(strip_control_characters, _lines(value, names))),
        )
    return grid


def format_inline(value: Any, names: Names) -> str:
    """Write a JSON value in one line: cards as `A♠`, players as seats."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return names.get(value) or _SUITS.get(value) or format_card(value)
    if isinstance(value, list):
        return "[" + " ".join(format_inline(item, names) for item in value) + "]"
    if isinstance(value, dict):
        pairs = (
            f"{format_inline(key, names)}: {format_inline(v, names)}" for key, v in value.items()
        )
        return "{" + ", ".join(pairs) + "}"
    return str(value)


def format_card(text: str) -> str:
    """Write a card's id as people write cards; those of the second deck have a star."""
    found = _CARD.fullmatch(text)
    if found is None:
        return text
    deck, suit, rank = found.groups()
    return rank + _SUITS[suit] + ("*" if deck != "0" else "")


def strip_control_characters(text: str, style: str = "") -> Text:
    """Make text harmless: nothing in it moves the cursor, and it has an end."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    if len(shown) > CELL_CHARS_MAX:
        shown = shown[: CELL_CHARS_MAX - 1] + "…"
    return Text(shown, style)


def _lines(value: Any, names: Names) -> list[str]:
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        return [format_inline(item, names) for item in value]
    return [format_inline(value, names)]


def _header(replay: Replay, gaze: ReplayView) -> Text:
    ruleset = replay.fold.ruleset
    who = "a spectator" if gaze.viewer is None else f"seat {gaze.viewer}"
    at = replay.log[replay.index].at.decode()
    return Text.assemble(
        (f"{ruleset.title} {ruleset.version}", "bold"),
        f"  game {replay.game_id}\n",
        f"event {replay.index} of {replay.head}, {at}, ",
        "with nothing hidden" if gaze.is_open else f"as {who} sees it",
    )


def _players(replay: Replay) -> Table:
    grid = Table.grid(padding=(0, 2))
    turn = replay.fold.turn
    for seat, occupant in enumerate(replay.fold.table.seats):
        acts = turn is not None and seat in turn.seats
        grid.add_row("▸" if acts else " ", f"seat {seat}", occupant.player_id, _state(occupant))
    return grid


def _state(seat: TableSeat) -> Text:
    if seat.bot is not None:
        return strip_control_characters(f"bot {seat.bot}")
    if not seat.present:
        return Text("has left", "yellow")
    return Text("") if seat.connected else Text("is disconnected", "yellow")


def _events(shown: list[ShownEvent], names: Names) -> Table:
    grid = Table.grid(padding=(0, 2))
    for event in shown:
        style = "bold" if event.is_here else "dim"
        text = "hidden" if event.payload is None else _inline_fields(event.payload, names)
        index, kind = event.recorded.event_index, event.recorded.event.type
        here = "▸" if event.is_here else " "
        grid.add_row(
            here,
            str(index),
            strip_control_characters(kind, style),
            strip_control_characters(text, style),
        )
    return grid


def _inline_fields(payload: Payload, names: Names) -> str:
    shown = {key: value for key, value in payload.items() if key != "_v"}
    return "  ".join(f"{key} {format_inline(value, names)}" for key, value in shown.items())
