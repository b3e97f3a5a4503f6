"""`playhall play`: a game against bots or people, in the terminal."""

import asyncio
import os
import sys
from collections.abc import Coroutine, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from itertools import cycle, islice
from random import Random
from typing import Annotated, Any, Final, NamedTuple, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from loadtest.players import KINDS
from loadtest.players.kind import Behaviour, GenericBehaviour
from loadtest.terminal import make_screen
from loadtest.terminal.any_game import RULES_CHARS_MAX, strip_control_characters
from loadtest.terminal.keyboard import Keyboard
from loadtest.terminal.line_editor import Interrupted, LineEditor
from loadtest.terminal.realtime import REALTIME_SCREENS, play_by_itself, play_by_keys
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
from playhall.client import game_in
from playhall.game import GAME_COMPLETED

# How long nothing happens before a line can be typed although it is somebody else's turn.
IDLE_S: Final = 1.0
WAITING: Final = "Waiting for the others (/say TEXT to talk, ? for the rules) "
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
    rounds: Annotated[
        int | None, typer.Option(min=1, help="Rounds, where a ruleset has them.")
    ] = None,
    turn_timeout: Annotated[
        float | None, typer.Option(min=1, max=86_400, help="Time limit of a turn, in seconds.")
    ] = None,
    auto: Annotated[bool, typer.Option("--auto", help="Let the program play for you.")] = False,
    resume: Annotated[str | None, typer.Option(help="Id of a game to return to.")] = None,
    with_people: Annotated[
        bool, typer.Option("--with-people", help="Play with other people who are waiting.")
    ] = False,
    invite: Annotated[
        int | None, typer.Option(min=2, max=64, help="Open a table with so many seats for friends.")
    ] = None,
    join: Annotated[str | None, typer.Option(help="Code of a friend's table to join.")] = None,
    bots: Annotated[
        int | None,
        typer.Option(min=0, max=63, help="How many bots sit at the table that you open."),
    ] = None,
    bot: Annotated[
        list[str] | None, typer.Option(help="Which bot; give it again for more than one.")
    ] = None,
) -> None:
    """Play against bots in this terminal, or with people."""
    asked = {"rounds": rounds, "turn_timeout_s": turn_timeout}
    config: Json = {name: value for name, value in asked.items() if value is not None}
    saved = None if resume is None else SavedGameFolder().find(resume)
    if resume is not None and saved is None:
        _fail(f"--resume: there is no saved game {resume}; omit the option to start a new one.")
    if sum([with_people, invite is not None, join is not None, resume is not None]) > 1:
        _fail("Choose one of --with-people, --invite, --join and --resume.")
    if (bots is not None or bot) and (with_people or join is not None or resume is not None):
        _fail(
            "--bots and --bot are for a table that you open: alone, or for friends with --invite."
        )
    session = _Session(auto=auto)
    wish = _Bots(bots, tuple(bot or ()))
    opened = _Opening(
        url, ruleset, config, with_people=with_people, invite=invite, code=join, bots=wish
    )
    try:
        if saved is not None:
            asyncio.run(session.go_on(saved))
        else:
            asyncio.run(session.begin(url, name, opened))
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

    async def begin(self, url: str, name: str | None, opening: "_Opening") -> None:
        """Open a game and play it."""
        async with connect(url, name=name) as client:
            lobby = await _started_lobby(client, await opening.open(client))
            names = {member["player_id"]: member["display_name"] for member in lobby["members"]}
            game = await client.wait_for_game(lobby)
            saved = SavedGame(
                url=url,
                ruleset=lobby["ruleset"],
                game_id=game.game_id,
                refresh_token="",
                names=names,
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
        if game.stream.live is not None:
            await self._play_in_real_time(client, game, saved)
            return
        me = await client.player_id()
        chance = Random()  # noqa: S311 - a game, no secret
        kind = KINDS.get(saved.ruleset)
        loop = _GameLoop(
            client,
            game,
            make_screen(saved.ruleset, me, saved.names),
            GenericBehaviour(me, chance) if kind is None else kind.behaviour(me, chance),
            keyboard=None if self._auto else _keyboard(),
            rules=await _rules_of(client, saved.ruleset),
            head=head,
        )
        await self._play_saved(client, game, saved, loop.play())

    async def _play_in_real_time(self, client: Client, game: Game, saved: SavedGame) -> None:
        make = REALTIME_SCREENS.get(saved.ruleset)
        if make is None or not (self._auto or _is_terminal()):
            await game.leave()
            raise RequestRefused(
                "real_time",
                f"{saved.ruleset} is played in real time, which needs a terminal; or use --auto."
                if make is not None
                else f"{saved.ruleset} is played in real time, and this program cannot draw it; "
                "a client in Python follows it with game.views().",
            )
        snapshot = await game.snapshot()
        names = [saved.names.get(player["player_id"], "?") for player in snapshot["players"]]
        assert game.seat is not None
        screen = make(game.seat, [strip_control_characters(name) for name in names])
        rules = await _rules_of(client, saved.ruleset)
        playing = (
            play_by_itself(game, screen) if self._auto else play_by_keys(game, screen, out, rules)
        )
        described = make_screen(saved.ruleset, await client.player_id(), saved.names)

        async def play() -> None:
            await playing
            async for event in game:
                if event.type == GAME_COMPLETED:
                    out.print(described.describe(event.type, event.payload or {}), soft_wrap=True)

        await self._play_saved(client, game, saved, play())

    async def _play_saved(
        self, client: Client, game: Game, saved: SavedGame, playing: Coroutine[Any, Any, None]
    ) -> None:
        """Play to the end, with a way back until then."""
        try:
            self._save(client, saved)
            await playing
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


class _Bots(NamedTuple):
    """Which bots somebody wants: how many, if it was said, and which in turn."""

    how_many: int | None
    names: tuple[str, ...]


class _Opening:
    """How a table comes about: with bots, with whoever waits, or with friends."""

    def __init__(
        self,
        url: str,
        ruleset: str,
        config: Json,
        *,
        with_people: bool,
        invite: int | None,
        code: str | None,
        bots: "_Bots",
    ) -> None:
        self._bots = bots
        self._url = url
        self._ruleset = ruleset
        self._config = config
        self._with_people = with_people
        self._invite = invite
        self._code = code

    async def open(self, client: Client) -> Json:
        """Give the lobby, which may not have started yet."""
        if self._code is not None:
            reply = await client.call("lobby.join", code=self._code)
            await client.call("lobby.ready", lobby_id=reply["lobby"]["lobby_id"], ready=True)
        elif self._with_people:
            reply = await client.call(
                "lobby.quick_play", ruleset=self._ruleset, config=self._config
            )
            out.print("Waiting for other players; bots take the seats that stay free.")
        elif self._invite is not None:
            bots = await self._choose_bots(client, invited=self._invite)
            reply = await client.call(
                "lobby.create",
                ruleset=self._ruleset,
                seats=self._invite,
                config=self._config,
                is_public=False,
            )
            await _add_bots(client, reply["lobby"]["lobby_id"], bots)
            code = reply["lobby"]["join_code"]
            at = "" if self._url == HERE else f" --url {self._url}"
            out.print(f"Invite your friends: playhall play{at} --join {code}", soft_wrap=True)
        else:
            bots = await self._choose_bots(client, invited=None)
            return await _lobby_with_bots(client, self._ruleset, self._config, bots)
        lobby: Json = reply["lobby"]
        return lobby

    async def _choose_bots(self, client: Client, *, invited: int | None) -> list[str]:
        """Say which bots sit at the table; raise `RequestRefused` for what cannot be."""
        count, names = self._bots
        if invited is not None and not names and not count:
            return []
        known, seats = await _bots_of(client, self._ruleset)
        if unknown := [name for name in names if name not in known]:
            raise RequestRefused(
                "unknown_bot",
                f"--bot: {self._ruleset} has no bot {unknown[0]}; it has {', '.join(known)}.",
            )
        if count is None:
            usual = KINDS[self._ruleset].seats if self._ruleset in KINDS else max(2, seats[0])
            count = max(len(names), usual - 1 if invited is None else 0)
        least, most = (seats[0] - 1, seats[-1] - 1) if invited is None else (0, invited - 1)
        if not least <= count <= most:
            bounds = str(most) if least == most else f"{least} to {most}"
            raise RequestRefused(
                "invalid_field", f"--bots: {bounds} can sit at this table of {self._ruleset}."
            )
        # The best ones: only where there is no other, the one that plays anything.
        best = names or [name for name in known if name != "random"] or known
        return list(islice(cycle(best), count))


async def _started_lobby(client: Client, lobby: Json) -> Json:
    """Wait until a lobby's game has started, saying who comes; its host starts it when it is full.

    Raises `RequestRefused` if it is closed.
    """
    me, here = await client.player_id(), _people_in(lobby)
    updates = client.updates()
    while game_in(lobby, me) is None:
        update = await anext(updates)
        if update.get("lobby_id") != lobby["lobby_id"] or update["type"] != "lobby.update":
            _describe_update(update)
            continue
        lobby = update["lobby"]
        for player, name in _people_in(lobby).items() - here.items():
            if player != me:
                out.print(f"{strip_control_characters(name)} joined.")
        here = _people_in(lobby)
        if lobby["status"] == "CLOSED":
            raise RequestRefused("lobby_closed", "The table was closed before the game started.")
        if _may_start(lobby, me):
            lobby = (await client.call("lobby.start", lobby_id=lobby["lobby_id"]))["lobby"]
    return lobby


def _may_start(lobby: Json, me: str) -> bool:
    """Say whether it is for this player to start: their table is full, and the others are ready."""
    if lobby["host_player_id"] != me or game_in(lobby, me) is not None:
        return False
    tables = [each.get("table") for each in lobby["members"] if each["player_id"] == me]
    seated = [
        each
        for each in lobby["members"]
        if each["seat"] is not None and each.get("table") in tables
    ]
    is_ready = all(each["ready"] or each["player_id"] == me for each in seated)
    return len(seated) == lobby["seats"] and is_ready


def _people_in(lobby: Json) -> dict[str, str]:
    return {each["player_id"]: each["display_name"] for each in lobby["members"]}


def _describe_update(update: Json) -> None:
    """Print what happens beside the game: talk, and the state of the connection."""
    if update["type"] == "chat.message":
        name, text = (strip_control_characters(update[key]) for key in ("display_name", "text"))
        out.print(f"{name}: {text}", style="cyan", soft_wrap=True)
    elif update["type"] == "connection.lost":
        out.print("The connection is lost; reconnecting …", style="yellow")
    elif update["type"] == "connection.restored":
        out.print("Connected again.", style="green")


def _keyboard() -> Keyboard | LineEditor:
    """Edit lines at a terminal; take them as they come from anything else."""
    return LineEditor() if _is_terminal() else Keyboard()


def _is_terminal() -> bool:
    return os.isatty(sys.stdin.fileno()) and os.isatty(sys.stdout.fileno())


async def _lobby_with_bots(client: Client, ruleset: str, config: Json, bots: Sequence[str]) -> Json:
    """Open a lobby with a seat for each of these bots and one more, and start."""
    opened = await client.call(
        "lobby.create", ruleset=ruleset, seats=1 + len(bots), config=config, is_public=False
    )
    lobby_id = opened["lobby"]["lobby_id"]
    await _add_bots(client, lobby_id, bots)
    started = await client.call("lobby.start", lobby_id=lobby_id)
    lobby: Json = started["lobby"]
    return lobby


async def _add_bots(client: Client, lobby_id: str, bots: Sequence[str]) -> None:
    for bot in bots:
        await client.call("lobby.add_bot", lobby_id=lobby_id, bot=bot)


async def _bots_of(client: Client, ruleset: str) -> tuple[list[str], range]:
    """Ask for a ruleset's bots, and how many players it takes."""
    listed = (await client.http.get("/v1/rulesets"))["rulesets"]
    for each in listed:
        if each["name"] == ruleset and each["bots"]:
            return list(each["bots"]), range(each["seats_min"], each["seats_max"] + 1)
    others = ", ".join(each["name"] for each in listed if each["bots"])
    raise RequestRefused(
        "unknown_ruleset", f"This server has no {ruleset} with bots; it has {others}."
    )


async def _rules_of(client: Client, ruleset: str) -> str:
    """Ask how a game is played."""
    listed = (await client.http.get("/v1/rulesets"))["rulesets"]
    return next((str(each["rules"]) for each in listed if each["name"] == ruleset), "")


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
        client: Client,
        game: Game,
        screen: Screen,
        behaviour: Behaviour,
        *,
        keyboard: Keyboard | LineEditor | None,
        rules: str,
        head: int,
    ) -> None:
        self._client = client
        self._game = game
        self._screen = screen
        self._behaviour = behaviour
        self._keyboard = keyboard
        self._rules = rules
        self._head = head  # what happened before is not printed again
        self._index = -1  # the last event that was printed
        self._played_turn = -1

    async def play(self) -> None:
        """Go on until the game is over."""
        try:
            with self._below_output():
                async with asyncio.TaskGroup() as self._tasks:
                    ahead = _Ahead(self._game, self._tasks)
                    beside = self._tasks.create_task(self._follow_updates())
                    try:
                        await self._follow(ahead)
                    finally:
                        beside.cancel()
                        ahead.stop()
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None  # the body's own; the tasks raise nothing

    def _below_output(self) -> AbstractContextManager[None]:
        editor = self._keyboard
        return editor.below_output() if isinstance(editor, LineEditor) else nullcontext()

    async def _follow_updates(self) -> None:
        with suppress(ClientError):  # which ends the game, and is reported there
            async for update in self._client.updates():
                _describe_update(update)

    async def _follow(self, ahead: _Ahead) -> None:
        while (event := await self._next(ahead)) is not None:
            self._show_event(event)
            if event.event_index < self._head:
                continue
            if isinstance(self._behaviour, GenericBehaviour):  # which knows no rules
                self._behaviour.moves = (await self._game.view()).get("legal_moves")
            if self._is_my_turn():
                await self._take_turn(ahead)

    async def _next(self, ahead: _Ahead) -> Event | None:
        """Wait for the next event; at a terminal, commands can be typed meanwhile."""
        if isinstance(self._keyboard, LineEditor):
            await asyncio.wait({ahead.coming}, timeout=IDLE_S)
            while not ahead.coming.done():
                line = self._begin_line(self._keyboard, WAITING, None)
                try:
                    await asyncio.wait({line, ahead.coming}, return_when=asyncio.FIRST_COMPLETED)
                    if line.done() and not await self._obey(_line_in(line)):
                        out.print("It is not your turn.", style="yellow")
                finally:
                    await _drop(line)
        return await ahead.next()

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

    async def _ask(self, keyboard: Keyboard | LineEditor, ahead: _Ahead) -> None:
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
            if isinstance(keyboard, Keyboard):
                keyboard.discard_typed()
            out.print(self._screen.show_view(view))
            chosen = await self._typed(keyboard, snapshot, ahead)
            if chosen is not None and await self._act(chosen[0], expected_head=chosen[1]):
                self._played_turn = self._behaviour.turn
                return

    async def _typed(
        self, keyboard: Keyboard | LineEditor, snapshot: Json, ahead: _Ahead
    ) -> tuple[Json, int] | None:
        """Wait for a move, printing what happens meanwhile; None once the table has changed.

        Gives the move, and the last event of the table that it was chosen at.
        """
        view, head = snapshot["view"], snapshot["head"]
        prompt, deadline_ms = self._screen.prompt_text(view), _deadline_of(snapshot)
        while True:
            line = self._begin_line(keyboard, prompt, deadline_ms)
            try:
                while not line.done():
                    await asyncio.wait({line, ahead.coming}, return_when=asyncio.FIRST_COMPLETED)
                    is_shown = False
                    while ahead.coming.done():
                        if isinstance(keyboard, Keyboard) and not is_shown:
                            out.print()  # the prompt stands on this line
                        is_shown = True
                        event = await ahead.next()
                        if event is None:
                            return None
                        self._show_event(event)
                        if event.type not in PASSING:
                            now = await self._game.snapshot()
                            if not _is_same_turn(snapshot, now):
                                return None
                            head = now["head"]
                    if isinstance(keyboard, Keyboard) and is_shown:
                        out.print(prompt, end="")
                typed = _line_in(line)
                if not await self._obey(typed):
                    return self._screen.read_move(typed, view), head
            except UnclearInput as unclear:
                out.print(str(unclear), style="yellow")
            finally:
                await _drop(line)

    def _begin_line(
        self, keyboard: Keyboard | LineEditor, prompt: str, deadline_ms: int | None
    ) -> asyncio.Task[str | Interrupted | None]:
        if isinstance(keyboard, LineEditor):
            return self._tasks.create_task(_edited(keyboard, prompt, deadline_ms))
        out.print(prompt, end="")
        return self._tasks.create_task(keyboard.read_line())

    async def _obey(self, typed: str) -> bool:
        """Carry out a line that is a command and not a move; say whether it was one."""
        command, _, text = typed.strip().partition(" ")
        if command == "?":
            said = (self._rules, self._screen.input_help, "Talk with /say TEXT; Ctrl+D leaves.")
            out.print(
                strip_control_characters(" ".join(filter(None, said)), chars_max=RULES_CHARS_MAX)
            )
        elif command == "/say" and text.strip():
            try:
                await self._client.call("chat.say", game_id=self._game.game_id, text=text)
            except RequestRefused as refused:
                out.print(refused.message, style="yellow")
        elif command.startswith("/"):
            out.print("Type /say and what you want to say, ? for the rules, or your move.")
        else:
            return False
        return True

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


async def _edited(
    editor: LineEditor, prompt: str, deadline_ms: int | None
) -> str | Interrupted | None:
    """Ask for a line; an exception of the task would end all others of its group."""
    try:
        return await editor.read_line(prompt, deadline_ms)
    except Interrupted as interrupted:
        return interrupted


def _line_in(line: asyncio.Task[str | Interrupted | None]) -> str:
    """Give what was typed; raise `EOFError` or `KeyboardInterrupt` for Ctrl+D and Ctrl+C."""
    typed = line.result()
    if isinstance(typed, Interrupted):
        raise KeyboardInterrupt
    if typed is None:
        raise EOFError
    return typed


async def _drop(line: asyncio.Task[str | Interrupted | None]) -> None:
    """Stop asking, and wait until the terminal is as it was."""
    line.cancel()
    await asyncio.wait({line})


def _deadline_of(snapshot: Json) -> int | None:
    turn = snapshot["turn"]
    deadline_ms: int | None = None if turn is None else turn["deadline_ms"]
    return deadline_ms


def _is_same_turn(before: Json, now: Json) -> bool:
    """Say whether others have only moved in the same turn, which goes on for this player."""
    return (
        _deadline_of(now) is not None
        and _deadline_of(before) == _deadline_of(now)
        and before["view"]["legal_moves"] == now["view"]["legal_moves"]
    )


def _fail(sentence: str) -> NoReturn:
    err.print(f"[red]playhall:[/red] {escape(sentence)}", soft_wrap=True)
    raise typer.Exit(1)
