"""Tasks with an owner.

One `Tasks` lives as long as the server. A piece of work that fails is logged and counted. A loop
that fails brings the server down, since something that it promised no longer holds; so whatever
serves many goes through `sweeping.every`, which nothing ends. What is left to fail is the log's
writers, when not even one game's rows can be told from another's, and what reads the lease.
"""

import asyncio
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any

from server.core.containment import contain_failures


class Tasks(AbstractAsyncContextManager["Tasks"]):
    """The owner of every task of one server; leaving it cancels and awaits them all."""

    def __init__(self) -> None:
        self._group = asyncio.TaskGroup()
        self._running: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> "Tasks":
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.cancel_all()
        try:
            await self._group.__aexit__(kind, error, trace)
        except BaseExceptionGroup as group:
            if error is not None and group.exceptions == (error,):
                raise error from None  # the body's own, not a task's: as if there were no group
            raise

    def cancel_all(self) -> None:
        """Cancel everything that still runs."""
        for task in self._running:
            task.cancel()

    def __len__(self) -> int:
        return len(self._running)

    def start_loop(self, work: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
        """Run something that must not fail for as long as the server lives."""
        return self._own(work, name)

    def start_work(self, work: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
        """Run a piece of work; its failure is logged and touches nobody else."""
        return self._own(_guarded(work, name), name)

    def _own(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = self._group.create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task


async def _guarded(work: Coroutine[Any, Any, None], name: str) -> None:
    with contain_failures(name):
        await work
