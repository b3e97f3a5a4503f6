"""`playhall play`: a game against bots, in the terminal."""

import asyncio
from dataclasses import dataclass
from random import Random
from typing import Annotated, Final, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from loadtest.client import Client, ClientError, Event, Game, Refused, Unreachable, connect
from loadtest.kept import Kept, KeptGames
from loadtest.players import KINDS
from loadtest.players.kind import Behaviour
from loadtest.terminal import SCREENS
from loadtest.terminal.keyboard import Keyboard
from loadtest.terminal.screen import Screen, Unclear
from protocol.game import Json

HERE: Final = "http://127.0.0.1:8080"

out = Console(highlight=False, markup=False, emoji=False)
err = Console(stderr=True, highlight=False)


def play(
    context: typer.Context,
    url: Annotated[str, typer.Option(help="The server.")] = HERE,
    ruleset: Annotated[str, typer.Option(help=f"One of: {', '.join(SCREENS)}.")] = "el_dorado",
    name: Annotated[str | None, typer.Option(help="How the others see you.")] = None,
    rounds: Annotated[int | None, typer.Option(min=1, max=10, help="Of El Dorado.")] = None,
    auto: Annotated[bool, typer.Option("--auto", help="Let the program play for you.")] = False,
    resume: Annotated[str | None, typer.Option(help="Go back to a game, by its id.")] = None,
) -> None:
    """Play against bots in this terminal."""
    if ruleset not in SCREENS:
        _fail(f"There is no screen for {ruleset}; choose one of: {', '.join(SCREENS)}.")
    if rounds is not None and ruleset != "el_dorado":
        _fail("Only el_dorado has rounds; leave --rounds out.")
    config: Json = {} if rounds is None else {"rounds": rounds}
    kept = None if resume is None else KeptGames().find(resume)
    if resume is not None and kept is None:
        _fail(f"--resume: nothing is kept of a game {resume}; without it, a new one begins.")
    evening = _Evening(auto=auto)
    try:
        if kept is not None:
            asyncio.run(evening.go_on(kept))
        else:
            asyncio.run(evening.begin(url, name, ruleset=ruleset, config=config))
    except Unreachable as error:
        _fail(f"{error} Start a server with `playhall serve`, or name another with --url.")
    except ClientError as error:
        _fail(f"{error}{evening.way_back(context.command_path)}")
    except EOFError:
        out.print("\nYou left the table.")
    except KeyboardInterrupt:
        out.print(f"\nYou went away.{evening.way_back(context.command_path)}", soft_wrap=True)


class _Evening:
    """One game from its lobby, or from where it was left, to its end."""

    def __init__(self, *, auto: bool) -> None:
        self._auto = auto
        self._games = KeptGames()
        self._kept: Kept | None = None
        self._told = False  # that the game cannot be kept

    async def begin(self, url: str, name: str | None, *, ruleset: str, config: Json) -> None:
        """Open a game and play it."""
        async with connect(url, name=name) as client:
            lobby = await _lobby_with_bots(client, ruleset, config)
            names = {member["player_id"]: member["display_name"] for member in lobby["members"]}
            game = await client.started(lobby)
            kept = Kept(
                url=url, ruleset=ruleset, game_id=game.game_id, refresh_token="", names=names
            )
            await self._play(client, game, kept)

    async def go_on(self, kept: Kept) -> None:
        """Play a game that was left; what has happened meanwhile is not told again."""
        async with connect(kept.url, refresh_token=kept.refresh_token) as client:
            self._keep(client, kept)
            await client.player_id()
            game = await client.game(kept.game_id)
            head = (await game.snapshot())["head"]
            await self._play(client, game, kept, head=head)

    def way_back(self, command: str) -> str:
        """Say how to come back to the game, if there is one to come back to."""
        if self._kept is None:
            return ""
        return f" The game goes on; come back with: {command} --resume {self._kept.game_id}"

    async def _play(self, client: Client, game: Game, kept: Kept, *, head: int = -1) -> None:
        me = await client.player_id()
        party = _Party(
            game,
            SCREENS[kept.ruleset](me, kept.names),
            KINDS[kept.ruleset].behaviour(me, Random()),  # noqa: S311 - a game, no secret
            None if self._auto else Keyboard(),
            head,
        )
        try:
            self._keep(client, kept)
            async for event in game:
                await party.take(event)
        except EOFError:
            await game.leave()
            self._forget(kept)
            raise
        except BaseException:
            self._keep(client, kept)  # with the newest token
            raise
        self._forget(kept)
        out.print(f"Kept as game {kept.game_id}.", soft_wrap=True)

    def _keep(self, client: Client, kept: Kept) -> None:
        token = client.link.account.refresh_token
        try:
            newest = kept.model_copy(update={"refresh_token": token})
            self._games.keep(newest)
            self._kept = newest
        except OSError as error:
            if not self._told:
                why = error.strerror or error
                out.print(f"If you go away, you cannot come back to this game ({why}).")
            self._told = True

    def _forget(self, kept: Kept) -> None:
        self._kept = None
        self._games.forget(kept.game_id)


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
    """One person's game: every event told, every turn played, from the event `head` on."""

    game: Game
    screen: Screen
    behaviour: Behaviour
    keyboard: Keyboard | None
    head: int
    played_turn: int = -1

    async def take(self, event: Event) -> None:
        """Tell an event, and move if it is this player's turn."""
        payload = event.payload or {}
        self.behaviour.see(event.type, payload)
        told = self.screen.tell(event.type, payload)
        if event.event_index < self.head:
            return
        if told is not None:
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
