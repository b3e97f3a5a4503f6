"""`playhall play`: a game against bots, in the terminal."""

import asyncio
from random import Random
from typing import Annotated, Final, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from loadtest.players import KINDS
from loadtest.players.kind import Behaviour, GenericBehaviour
from loadtest.terminal import make_screen
from loadtest.terminal.keyboard import Keyboard
from loadtest.terminal.saved_games import SavedGame, SavedGameFolder
from loadtest.terminal.screens import Screen, UnclearInput
from playhall import (
    Client,
    ClientError,
    Event,
    Game,
    Json,
    RequestRefused,
    ServerUnreachable,
    connect,
)

HERE: Final = "http://127.0.0.1:8080"
# Events that change nothing on the table; a move that was chosen before is still good.
PASSING: Final = frozenset(
    {
        "invalid_action",
        "player_disconnected",
        "player_reconnected",
        "player_became_spectator",
    }
)

out = Console(highlight=False, markup=False, emoji=False)
err = Console(stderr=True, highlight=False)


def play(
    context: typer.Context,
    url: Annotated[str, typer.Option(help="The server.")] = HERE,
    ruleset: Annotated[str, typer.Option(help="A ruleset of the server.")] = "el_dorado",
    name: Annotated[str | None, typer.Option(help="Your display name.")] = None,
    rounds: Annotated[int | None, typer.Option(min=1, max=10, help="Rounds of El Dorado.")] = None,
    turn_timeout: Annotated[
        float | None, typer.Option(min=1, max=86_400, help="Time limit of a turn, in seconds.")
    ] = None,
    auto: Annotated[bool, typer.Option("--auto", help="Let the program play for you.")] = False,
    resume: Annotated[str | None, typer.Option(help="Id of a game to return to.")] = None,
) -> None:
    """Play against bots in this terminal."""
    if rounds is not None and ruleset != "el_dorado":
        _fail("Only el_dorado has rounds; omit --rounds.")
    asked = {"rounds": rounds, "turn_timeout_s": turn_timeout}
    config: Json = {name: value for name, value in asked.items() if value is not None}
    saved = None if resume is None else SavedGameFolder().find(resume)
    if resume is not None and saved is None:
        _fail(f"--resume: there is no saved game {resume}; omit the option to start a new one.")
    session = _Session(auto=auto)
    try:
        if saved is not None:
            asyncio.run(session.go_on(saved))
        else:
            asyncio.run(session.begin(url, name, ruleset=ruleset, config=config))
    except ServerUnreachable as error:
        _fail(f"{error} Start a server with `playhall serve`, or name another with --url.")
    except ClientError as error:
        is_stopped = isinstance(error, RequestRefused) and error.code == "quarantined"
        way_back = "" if is_stopped else session.way_back(context.command_path)
        _fail(f"{error}{way_back}")
    except EOFError:
        out.print("\nYou left the game.")
    except KeyboardInterrupt:
        out.print(f"\nYou disconnected.{session.way_back(context.command_path)}", soft_wrap=True)


class _Session:
    """One game from its lobby, or from where it was left, to its end."""

    def __init__(self, *, auto: bool) -> None:
        self._auto = auto
        self._games = SavedGameFolder()
        self._saved: SavedGame | None = None
        self._warned = False  # that the game cannot be kept

    async def begin(self, url: str, name: str | None, *, ruleset: str, config: Json) -> None:
        """Open a game and play it."""
        async with connect(url, name=name) as client:
            lobby = await _lobby_with_bots(client, ruleset, config)
            names = {member["player_id"]: member["display_name"] for member in lobby["members"]}
            game = await client.wait_for_game(lobby)
            saved = SavedGame(
                url=url, ruleset=ruleset, game_id=game.game_id, refresh_token="", names=names
            )
            await self._play(client, game, saved)

    async def go_on(self, saved: SavedGame) -> None:
        """Play a game that was left; what has happened meanwhile is not printed again."""
        async with connect(saved.url, refresh_token=saved.refresh_token) as client:
            self._save(client, saved)
            await client.player_id()
            game = await client.game(saved.game_id)
            head = (await game.snapshot())["head"]
            await self._play(client, game, saved, head=head)

    def way_back(self, command: str) -> str:
        """Say how to come back to the game, if there is one to come back to."""
        if self._saved is None:
            return ""
        return f" The game continues; return with: {command} --resume {self._saved.game_id}"

    async def _play(self, client: Client, game: Game, saved: SavedGame, *, head: int = -1) -> None:
        me = await client.player_id()
        chance = Random()  # noqa: S311 - a game, no secret
        kind = KINDS.get(saved.ruleset)
        loop = _GameLoop(
            game,
            make_screen(saved.ruleset, me, saved.names),
            GenericBehaviour(me, chance) if kind is None else kind.behaviour(me, chance),
            keyboard=None if self._auto else Keyboard(),
            head=head,
        )
        try:
            self._save(client, saved)
            await loop.play()
        except EOFError:
            await game.leave()
            self._delete(saved)
            raise
        except BaseException:
            self._save(client, saved)  # with the newest token
            raise
        self._delete(saved)
        out.print(f"Saved as game {saved.game_id}.", soft_wrap=True)

    def _save(self, client: Client, saved: SavedGame) -> None:
        token = client.connection.account.refresh_token
        try:
            newest = saved.model_copy(update={"refresh_token": token})
            self._games.save(newest)
            self._saved = newest
        except OSError as error:
            if not self._warned:
                why = error.strerror or error
                out.print(f"You will not be able to return to this game if you disconnect ({why}).")
            self._warned = True

    def _delete(self, saved: SavedGame) -> None:
        self._saved = None
        self._games.delete(saved.game_id)


async def _lobby_with_bots(client: Client, ruleset: str, config: Json) -> Json:
    """Open a lobby, fill its seats with the ruleset's bots, and start."""
    bots, seats_min = await _bots_of(client, ruleset)
    seats = KINDS[ruleset].seats if ruleset in KINDS else max(2, seats_min)
    opened = await client.call(
        "lobby.create", ruleset=ruleset, seats=seats, config=config, is_public=False
    )
    lobby_id = opened["lobby"]["lobby_id"]
    for number in range(seats - 1):
        await client.call("lobby.add_bot", lobby_id=lobby_id, bot=bots[number % len(bots)])
    started = await client.call("lobby.start", lobby_id=lobby_id)
    lobby: Json = started["lobby"]
    return lobby


async def _bots_of(client: Client, ruleset: str) -> tuple[list[str], int]:
    """Ask for a ruleset's bots, the good ones if it has any, and how many seats it needs."""
    listed = (await client.http.get("/v1/rulesets"))["rulesets"]
    for each in listed:
        if each["name"] == ruleset and each["bots"]:
            # The best of them: only where there is no other, the one that plays anything.
            bots = [bot for bot in each["bots"] if bot != "random"] or list(each["bots"])
            return bots, each["seats_min"]
    others = ", ".join(each["name"] for each in listed if each["bots"])
    raise RequestRefused(
        "unknown_ruleset", f"This server has no {ruleset} with bots; it has {others}."
    )


class _Ahead:
    """The next event of a game, waited for in a task, so that a typed line can be as well."""

    def __init__(self, game: Game, tasks: asyncio.TaskGroup) -> None:
        self._game = game
        self._tasks = tasks
        self.coming = tasks.create_task(self._next_event())

    async def next(self) -> Event | None:
        """Wait for the next event; None after the game's last. Raises `ClientError`."""
        event = await self.coming
        if isinstance(event, ClientError):
            raise event
        self.coming = self._tasks.create_task(self._next_event())
        return event

    def stop(self) -> None:
        """Wait no longer."""
        self.coming.cancel()

    async def _next_event(self) -> Event | ClientError | None:
        try:
            async for event in self._game:
                return event
        except ClientError as error:  # for who asks; in the group it would end the others
            return error
        return None


class _GameLoop:
    """One person's game: every event printed, every turn played, from the event `head` on."""

    def __init__(
        self,
        game: Game,
        screen: Screen,
        behaviour: Behaviour,
        *,
        keyboard: Keyboard | None,
        head: int,
    ) -> None:
        self._game = game
        self._screen = screen
        self._behaviour = behaviour
        self._keyboard = keyboard
        self._head = head  # what happened before is not printed again
        self._index = -1  # the last event that was printed
        self._played_turn = -1

    async def play(self) -> None:
        """Go on until the game is over."""
        try:
            async with asyncio.TaskGroup() as self._tasks:
                ahead = _Ahead(self._game, self._tasks)
                try:
                    await self._follow(ahead)
                finally:
                    ahead.stop()
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None  # the body's own; the tasks raise nothing

    async def _follow(self, ahead: _Ahead) -> None:
        while (event := await ahead.next()) is not None:
            self._show_event(event)
            if event.event_index < self._head:
                continue
            if isinstance(self._behaviour, GenericBehaviour):  # which knows no rules
                self._behaviour.moves = (await self._game.view()).get("legal_moves")
            if self._is_my_turn():
                await self._take_turn(ahead)

    def _show_event(self, event: Event) -> None:
        """Take an event in, and say what happened."""
        payload = event.payload or {}
        self._index = event.event_index
        self._behaviour.on_event(event.type, payload)
        line = self._screen.describe(event.type, payload)
        if line is not None and event.event_index >= self._head:
            out.print(line, soft_wrap=True)

    def _is_my_turn(self) -> bool:
        return (
            self._behaviour.choose_move() is not None and self._behaviour.turn != self._played_turn
        )

    async def _take_turn(self, ahead: _Ahead) -> None:
        if self._keyboard is not None:
            await self._ask(self._keyboard, ahead)
            return
        self._played_turn = self._behaviour.turn
        move = self._behaviour.choose_move()
        assert move is not None
        await self._act(move, expected_head=None)

    async def _ask(self, keyboard: Keyboard, ahead: _Ahead) -> None:
        """Ask until a move is accepted, or it is not this player's turn any more.

        A move is made at the table that was shown, or not at all.
        """
        while True:
            snapshot = await self._game.snapshot()
            while self._index < snapshot["head"] and (event := await ahead.next()) is not None:
                self._show_event(event)
            view = snapshot["view"]
            if not view["legal_moves"]:
                return
            self._played_turn = self._behaviour.turn
            keyboard.discard_typed()
            out.print(self._screen.show_view(view))
            move = await self._typed(keyboard, view, ahead)
            if move is not None and await self._act(move, expected_head=snapshot["head"]):
                return

    async def _typed(self, keyboard: Keyboard, view: Json, ahead: _Ahead) -> Json | None:
        """Wait for a move, printing what happens meanwhile; None once the table has changed."""
        while True:
            out.print(self._screen.prompt_text(view), end="")
            line = self._tasks.create_task(keyboard.read_line())
            try:
                await asyncio.wait({line, ahead.coming}, return_when=asyncio.FIRST_COMPLETED)
                while ahead.coming.done():
                    out.print()  # the prompt stands on this line
                    event = await ahead.next()
                    if event is None:
                        return None
                    self._show_event(event)
                    if event.type not in PASSING:
                        return None
                    out.print(self._screen.prompt_text(view), end="")
                typed = await line
                if typed is None:
                    raise EOFError
                return self._screen.read_move(typed, view)
            except UnclearInput as unclear:
                out.print(str(unclear), style="yellow")
            finally:
                line.cancel()

    async def _act(self, move: Json, *, expected_head: int | None) -> bool:
        try:
            await self._game.act(move, expected_head=expected_head)
        except RequestRefused as refused:
            if refused.code == "game_moved_on":
                out.print("The game has moved on; your move was not played.", style="yellow")
            elif refused.code != "game_over":
                out.print(refused.message, style="yellow")
            return False
        return True


def _fail(sentence: str) -> NoReturn:
    err.print(f"[red]playhall:[/red] {escape(sentence)}", soft_wrap=True)
    raise typer.Exit(1)
