"""A real-time game at a terminal: drawn as it changes, and played by single keys."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import MappingProxyType
from typing import Final, Protocol

from prompt_toolkit.input import create_input
from prompt_toolkit.keys import Keys
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from loadtest.terminal.any_game import RULES_CHARS_MAX, strip_control_characters
from loadtest.terminal.arena import ArenaScreen
from playhall import Game, Json, RequestRefused

# Keys that wait to be sent; what is pressed beyond that is dropped.
KEYS_MAX: Final = 8
AUTO_EVERY_S: Final = 0.2
_ARROWS: Final = MappingProxyType(
    {Keys.Up: "up", Keys.Down: "down", Keys.Left: "left", Keys.Right: "right"}
)


class RealtimeScreen(Protocol):
    """What is shown of a real-time game, and what keys mean."""

    def read_key(self, key: str) -> Json | None:
        """Read a key as a move; None for a key that means nothing."""

    def choose_move(self, view: Json) -> Json | None:
        """Choose a move for a player who lets the program play."""

    def draw(self, view: Json, *, columns: int, rows: int) -> RenderableType:
        """Draw the game as large as it fits."""


MakeScreen = Callable[[int, Sequence[str]], RealtimeScreen]
REALTIME_SCREENS: Final = MappingProxyType[str, MakeScreen]({"arena": ArenaScreen})


async def play_by_keys(game: Game, screen: RealtimeScreen, console: Console, rules: str) -> None:
    """Play a game until it is over; `?` shows the rules, or hides them again.

    Raises `EOFError` after Ctrl+D, `KeyboardInterrupt` after Ctrl+C, and what ends the game.
    """
    pressed: asyncio.Queue[str] = asyncio.Queue(KEYS_MAX)
    left: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    try:
        with (
            _raw_keys(pressed, left),
            Live(console=console, screen=True, auto_refresh=False) as live,
        ):
            display = _Display(screen, live, rules)
            async with asyncio.TaskGroup() as tasks:
                shown = tasks.create_task(display.follow(game))
                sent = tasks.create_task(_obey_keys(game, screen, display, pressed))
                await asyncio.wait({shown, left}, return_when=asyncio.FIRST_COMPLETED)
                shown.cancel()
                sent.cancel()
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None
    if left.done():
        left.result()


async def play_by_itself(game: Game, screen: RealtimeScreen) -> None:
    """Let the program play until the game is over; nothing is drawn."""
    loop = asyncio.get_running_loop()
    next_at = loop.time()
    async for live in game.views():
        move = screen.choose_move(live.view) if loop.time() >= next_at else None
        if move is not None:
            next_at = loop.time() + AUTO_EVERY_S
            with suppress(RequestRefused):  # the end came first
                await game.act(move)


class _Display:
    """What the terminal shows: the game, and below it the rules once they were asked for."""

    def __init__(self, screen: RealtimeScreen, live: Live, rules: str) -> None:
        self._screen = screen
        self._live = live
        self._rules = Text(strip_control_characters(rules, chars_max=RULES_CHARS_MAX))
        self._with_rules = False
        self._view: Json | None = None

    async def follow(self, game: Game) -> None:
        """Draw the game whenever it changes, until it is over."""
        async for state in game.views():
            self._view = state.view
            self._draw()

    def toggle_rules(self) -> None:
        """Show the rules, or hide them."""
        self._with_rules = not self._with_rules
        self._draw()

    def _draw(self) -> None:
        if self._view is None:
            return
        width, rows = self._live.console.size
        if self._with_rules:
            rows -= len(self._rules.wrap(self._live.console, width))
        drawn = self._screen.draw(self._view, columns=width, rows=rows)
        self._live.update(Group(drawn, self._rules) if self._with_rules else drawn, refresh=True)


async def _obey_keys(
    game: Game, screen: RealtimeScreen, display: _Display, pressed: asyncio.Queue[str]
) -> None:
    """Do what keys mean; a move that is refused, as in a game that has ended, has no effect."""
    while True:
        key = await pressed.get()
        if key == "?":
            display.toggle_rules()
            continue
        move = screen.read_key(key)
        if move is not None:
            with suppress(RequestRefused):
                await game.act(move)


@contextmanager
def _raw_keys(pressed: asyncio.Queue[str], left: "asyncio.Future[None]") -> Iterator[None]:
    """Take keys as they are pressed, without Enter and without showing them."""
    keyboard = create_input()

    def read() -> None:
        for press in keyboard.read_keys():
            key = _ARROWS.get(press.key, "") if isinstance(press.key, Keys) else press.key
            if press.key == Keys.ControlC:
                _leave(left, KeyboardInterrupt())
            elif press.key == Keys.ControlD:
                _leave(left, EOFError())
            elif key:
                with suppress(asyncio.QueueFull):
                    pressed.put_nowait(key)
        if keyboard.closed:
            _leave(left, EOFError())

    with keyboard.raw_mode(), keyboard.attach(read):
        yield


def _leave(left: "asyncio.Future[None]", why: BaseException) -> None:
    if not left.done():
        left.set_exception(why)
