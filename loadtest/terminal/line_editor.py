"""A line that somebody types at a terminal, while other things are printed above it."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prompt_toolkit import PromptSession
from prompt_toolkit.formatted_text import ANSI
from prompt_toolkit.output.vt100 import Vt100_Output
from prompt_toolkit.patch_stdout import patch_stdout

REFRESH_S = 1.0


class Interrupted(Exception):
    """Ctrl+C was typed."""


class LineEditor:
    """Asks for lines; the prompt stays below what is printed, with the time that is left."""

    def __init__(self) -> None:
        # Not every terminal answers where its cursor is, and those that do not are waited for.
        output = Vt100_Output.from_pty(sys.stdout)
        output.enable_cpr = False
        self._session: PromptSession[str] = PromptSession(
            output=output, interrupt_exception=Interrupted
        )

    @contextmanager
    def below_output(self) -> Iterator[None]:
        """Have everything that is printed in the block appear above the prompt."""
        with patch_stdout(raw=True):
            yield

    async def read_line(self, text: str, deadline_ms: int | None) -> str | None:
        """Ask for a line; None at the end of input. Raises `Interrupted`.

        Cancel it to drop what was typed.
        """
        show = _prompt(text, deadline_ms)
        try:
            return await self._session.prompt_async(
                show, refresh_interval=REFRESH_S if deadline_ms is not None else 0
            )
        except EOFError:
            return None


def _prompt(text: str, deadline_ms: int | None) -> Callable[[], ANSI]:
    def show() -> ANSI:
        if deadline_ms is None:
            return ANSI(text)
        left = max(0, int(deadline_ms / 1000 - time.time()))
        return ANSI(f"\x1b[2m[{left // 60}:{left % 60:02}]\x1b[0m {text}")

    return show
