"""A real-time game at a terminal: drawn as it changes, and played by single keys."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import MappingProxyType
from typing import Final, Protocol

from prompt_toolkit.input import create_input
from prompt_toolkit.keys import Keys
from rich.console import Console, RenderableType
from rich.live import Live

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


async def play_by_keys(game: Game, screen: RealtimeScreen, console: Console) -> None:
    """Play a game until it is over.

    Raises `EOFError` after Ctrl+D, `KeyboardInterrupt` after Ctrl+C, and what ends the game.
    """
    pressed: asyncio.Queue[str] = asyncio.Queue(KEYS_MAX)
    left: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    try:
        with (
            _raw_keys(pressed, left),
            Live(console=console, screen=True, auto_refresh=False) as live,
        ):
            async with asyncio.TaskGroup() as tasks:
                shown = tasks.create_task(_show(game, screen, live))
                sent = tasks.create_task(_send(game, screen, pressed))
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


async def _show(game: Game, screen: RealtimeScreen, live: Live) -> None:
    async for state in game.views():
        size = live.console.size
        live.update(screen.draw(state.view, columns=size.width, rows=size.height), refresh=True)


async def _send(game: Game, screen: RealtimeScreen, pressed: asyncio.Queue[str]) -> None:
    """Send what keys mean; a move that is refused, as in a game that has ended, has no effect."""
    while True:
        move = screen.read_key(await pressed.get())
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
