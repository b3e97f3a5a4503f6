"""`/v1/saves/{slot}/log` and `/v1/saves/{slot}/commands`."""

from functools import partial
from typing import Final

from protocol import command_saves as wire
from protocol.errors import InvalidField, MoveRefused, RateLimited
from protocol.saves import MutationReused, SaveSlotNotFound, SlotPath
from server.core.clock import Clock
from server.core.rate_limits import Rate, RateLimiter
from server.domains.progression.command_saves.service import CommandSaveService
from server.domains.progression.command_saves.settings import CommandSavesSettings
from server.gateway.http.endpoints import AccountLimit, Endpoint, HttpRequest

TAG: Final = "saves"
LOG: Final = "/v1/saves/{slot_id}/log"
COMMANDS: Final = "/v1/saves/{slot_id}/commands"


class CommandSaveRoutes:
    """The addresses of saves that are logs."""

    def __init__(
        self, service: CommandSaveService, settings: CommandSavesSettings, clock: Clock
    ) -> None:
        self._service = service
        self._admit = AccountLimit(
            RateLimiter(
                "save-logs",
                Rate(settings.requests_per_minute, settings.requests_burst),
                "You are sending commands too often",
            ),
            clock,
        )

    def endpoints(self) -> list[Endpoint]:
        """List them."""
        make = partial(Endpoint, auth="required", tag=TAG, answer=wire.SaveLog, admit=self._admit)
        usual = (SaveSlotNotFound, wire.NotSimulated, wire.RulesFailed, InvalidField, RateLimited)
        return [
            make(
                "POST",
                LOG,
                "Make a slot the log of the ruleset that its title names.",
                self._begin,
                body=wire.BeginLog,
                errors=usual,
            ),
            make(
                "GET",
                LOG,
                "Read a log: what its player sees now, and its events.",
                self._read,
                query=wire.LogQuery,
                errors=(*usual, wire.NoSaveLog),
            ),
            make(
                "POST",
                COMMANDS,
                "Have the rules carry moves out, all of them or none.",
                self._command,
                body=wire.LogCommands,
                errors=(
                    *usual,
                    wire.NoSaveLog,
                    wire.SaveLogMovedOn,
                    wire.SaveLogFull,
                    MoveRefused,
                    MutationReused,
                ),
            ),
        ]

    async def _begin(self, request: HttpRequest) -> wire.SaveLog:
        return await self._service.begin(request.who, _slot_id(request), request.body)

    async def _read(self, request: HttpRequest) -> wire.SaveLog:
        query: wire.LogQuery = request.query
        return await self._service.read(request.who, _slot_id(request), query.after)

    async def _command(self, request: HttpRequest) -> wire.SaveLog:
        return await self._service.command(request.who, _slot_id(request), request.body)


def _slot_id(request: HttpRequest) -> str:
    return request.parse_path(SlotPath).slot_id
