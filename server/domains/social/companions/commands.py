"""`companion.say`, `companion.follow` and `companion.stop`."""

import asyncio
from contextlib import aclosing, suppress
from functools import partial
from typing import Any, Final

from protocol import companions as wire
from protocol.errors import PlayhallError
from server.core.tasks import Tasks
from server.domains.social.companions.service import (
    AnswerPause,
    AnswerPiece,
    CompanionService,
)
from server.domains.social.companions.views import message_of
from server.gateway.session.sessions import CommandRoute, Routes, Session, update_frame

FOLLOWED_MAX: Final = 16  # answers that one connection follows
KIND: Final = "companion answer"


class CompanionCommands:
    """Companions over the websocket; a connection that closes follows nothing more."""

    def __init__(self, service: CompanionService, tasks: Tasks) -> None:
        self._service = service
        self._tasks = tasks

    def routes(self) -> Routes:
        """Say how each command is carried out."""
        return {
            wire.CompanionSay: CommandRoute(awaited=self._say),
            wire.CompanionFollow: CommandRoute(awaited=self._follow),
            wire.CompanionStop: CommandRoute(awaited=self._stop),
        }

    async def _say(self, session: Session, command: wire.CompanionSay) -> dict[str, Any]:
        asked = wire.MessageRequest(
            text=command.text, request_id=command.request_id, creation_id=command.creation_id
        )
        said = await self._service.say(session.who.requester, command.conversation_id, asked)
        self._send(session, said.answer_id, 0)
        return {"message_id": said.message_id, "answer_id": said.answer_id}

    async def _follow(self, session: Session, command: wire.CompanionFollow) -> None:
        await self._service.find_answer(session.who.requester, command.message_id)
        self._send(session, command.message_id, command.offset)

    async def _stop(self, session: Session, command: wire.CompanionStop) -> None:
        await self._service.stop(session.who.requester, command.message_id)

    def _send(self, session: Session, answer_id: str, offset: int) -> None:
        key = (KIND, answer_id)
        if session.following(KIND) >= FOLLOWED_MAX and not session.follows(key):
            raise wire.CompanionBusy(
                f"This connection follows {FOLLOWED_MAX} answers; wait until one has ended."
            )
        work = self._deliver(session, answer_id, offset)
        task = self._tasks.start_work(work, name="following an answer")
        session.follow(key, partial(_cancel, task))

    async def _deliver(self, session: Session, answer_id: str, offset: int) -> None:
        follow = self._service.follow(session.who.requester, answer_id, offset)
        with suppress(PlayhallError):  # deleted meanwhile
            async with aclosing(follow) as pieces:  # type: ignore[type-var]
                async for piece in pieces:
                    if isinstance(piece, AnswerPiece):
                        delta = wire.CompanionDelta(
                            message_id=answer_id,
                            offset=piece.offset,
                            next_offset=piece.offset + len(piece.text),
                            text=piece.text,
                        )
                        session.socket.send(update_frame(delta))
                    elif not isinstance(piece, AnswerPause):
                        answered = wire.CompanionAnswered(message=message_of(piece))
                        session.socket.send(update_frame(answered))
        session.unfollow((KIND, answer_id))


def _cancel(task: asyncio.Task[None]) -> None:
    if task is not asyncio.current_task():  # it has come to its end by itself
        task.cancel()
