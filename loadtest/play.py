"""`playhall play`: a game against bots, in the terminal."""

import asyncio
from dataclasses import dataclass
from random import Random
from typing import Annotated, Final, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from loadtest.client import Client, ClientError, Event, Game, Refused, Unreachable, connect
from loadtest.players import KINDS
from loadtest.players.kind import Behaviour
from loadtest.terminal import SCREENS
from loadtest.terminal.keyboard import Keyboard
from loadtest.terminal.screen import Screen, Unclear
from protocol.game import Json

HERE: Final = "http://127.0.0.1:8080"

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def play(
    url: Annotated[str, typer.Option(help="The server.")] = HERE,
    ruleset: Annotated[str, typer.Option(help=f"One of: {', '.join(SCREENS)}.")] = "el_dorado",
    name: Annotated[str | None, typer.Option(help="How the others see you.")] = None,
    rounds: Annotated[int | None, typer.Option(min=1, max=10, help="Of El Dorado.")] = None,
    auto: Annotated[bool, typer.Option("--auto", help="Let the program play for you.")] = False,
) -> None:
    """Play against bots in this terminal."""
    if ruleset not in SCREENS:
        _fail(f"There is no screen for {ruleset}; choose one of: {', '.join(SCREENS)}.")
    if rounds is not None and ruleset != "el_dorado":
        _fail("Only el_dorado has rounds; leave --rounds out.")
    config: Json = {} if rounds is None else {"rounds": rounds}
    try:
        asyncio.run(_evening(url, name, ruleset=ruleset, config=config, auto=auto))
    except Unreachable as error:
        _fail(f"{error} Start a server with `playhall serve`, or name another with --url.")
    except ClientError as error:
        _fail(str(error))
    except (KeyboardInterrupt, EOFError):
        out.print("\nYou left the table.")


async def _evening(url: str, name: str | None, *, ruleset: str, config: Json, auto: bool) -> None:
    async with connect(url, name=name) as client:
        lobby = await _lobby_with_bots(client, ruleset, config)
        me = await client.player_id()
        names = {member["player_id"]: member["display_name"] for member in lobby["members"]}
        game = await client.started(lobby)
        party = _Party(
            game,
            SCREENS[ruleset](me, names),
            KINDS[ruleset].behaviour(me, Random()),  # noqa: S311 - a game, no secret
            None if auto else Keyboard(),
        )
        try:
            async for event in game:
                await party.take(event)
        except EOFError:
            await game.leave()
            raise


async def _lobby_with_bots(client: Client, ruleset: str, config: Json) -> Json:
    """Open a lobby, fill its seats with the ruleset's bots, and start."""
    bots = await _bots_of(client, ruleset)
    seats = KINDS[ruleset].seats
    opened = await client.call(
        "lobby.create", ruleset=ruleset, seats=seats, config=config, is_public=False
    )
    lobby_id = opened["lobby"]["lobby_id"]
    for number in range(seats - 1):
        await client.call("lobby.add_bot", lobby_id=lobby_id, bot=bots[number % len(bots)])
    started = await client.call("lobby.start", lobby_id=lobby_id)
    lobby: Json = started["lobby"]
    return lobby


async def _bots_of(client: Client, ruleset: str) -> list[str]:
    listed = (await client.web.get("/v1/rulesets"))["rulesets"]
    for each in listed:
        if each["name"] == ruleset and each["bots"]:
            # The best of them: only where there is no other, the one that plays anything.
            return [bot for bot in each["bots"] if bot != "random"] or list(each["bots"])
    raise Refused("unknown_ruleset", f"This server has no {ruleset} with bots.")


@dataclass
class _Party:
    """One person's game: every event told, every turn played."""

    game: Game
    screen: Screen
    behaviour: Behaviour
    keyboard: Keyboard | None
    played_turn: int = -1

    async def take(self, event: Event) -> None:
        """Tell an event, and move if it is this player's turn."""
        payload = event.payload or {}
        self.behaviour.see(event.type, payload)
        if (told := self.screen.tell(event.type, payload)) is not None:
            out.print(told, soft_wrap=True)
        move = self.behaviour.choose()
        if move is None or self.behaviour.turn == self.played_turn:
            return
        self.played_turn = self.behaviour.turn
        if self.keyboard is None:
            await self._act(move)
        else:
            await self._ask(self.keyboard)

    async def _ask(self, keyboard: Keyboard) -> None:
        """Ask until a move is accepted, or the turn is over."""
        view = await self.game.view()
        if view["legal_moves"]:
            out.print(self.screen.show(view))
        while view["legal_moves"]:
            out.print(self.screen.prompt(view), end="")
            try:
                move = self.screen.read(await keyboard.line(), view)
            except Unclear as unclear:
                out.print(str(unclear), style="yellow")
                continue
            if await self._act(move):
                return
            view = await self.game.view()

    async def _act(self, move: Json) -> bool:
        try:
            await self.game.act(move)
        except Refused as refused:
            if refused.code != "game_over":
                out.print(refused.message, style="yellow")
            return False
        return True


def _fail(sentence: str) -> NoReturn:
    err.print(f"[red]playhall:[/red] {escape(sentence)}", soft_wrap=True)
    raise typer.Exit(1)
