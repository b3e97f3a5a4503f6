"""`/v1/saves/{slot}/game`, and what editors write."""

from functools import partial
from typing import Final

from persistence.slot_games.store import StoredAttachment, StoredRewards
from protocol import slot_games as wire
from protocol.errors import Forbidden, InvalidField, RateLimited
from protocol.inventory import AssetNotFound, AssetRetired
from protocol.quests import TitlePath
from protocol.saves import SaveSlotNotFound, SlotPath
from server.core.clock import Clock, wire_time
from server.core.rate_limits import Rate, RateLimiter
from server.domains.progression.slot_games.service import SlotGameService
from server.gateway.http.endpoints import AccountLimit, Endpoint, HttpRequest

TAG: Final = "saves"
GAME: Final = "/v1/saves/{slot_id}/game"
REWARDS: Final = "/v1/admin/game-rewards/{title}"
CHANGES: Final = Rate(60, 30)


class SlotGameRoutes:
    """The addresses of games of slots."""

    def __init__(self, service: SlotGameService, clock: Clock) -> None:
        self._service = service
        self._admit = AccountLimit(
            RateLimiter("slot-games", CHANGES, "You are attaching slots to games too often"), clock
        )

    def endpoints(self) -> list[Endpoint]:
        """List them."""
        make = partial(Endpoint, auth="required", tag=TAG)
        edit = partial(make, scope="editor")
        usual = (SaveSlotNotFound, InvalidField)
        return [
            make(
                "PUT",
                GAME,
                "Attach a slot to the game that you play for it, or to the game's lobby.",
                self._attach,
                body=wire.SlotGameRequest,
                answer=wire.SlotGame,
                admit=self._admit,
                errors=(*usual, RateLimited),
            ),
            make(
                "GET",
                GAME,
                "Read which game a slot is attached to.",
                self._read,
                answer=wire.SlotGame,
                errors=(*usual, wire.NoSlotGame),
            ),
            make(
                "DELETE",
                GAME,
                "Detach a slot from its game.",
                self._detach,
                answer=wire.SlotGameDetached,
                admit=self._admit,
                errors=(*usual, RateLimited),
            ),
            edit(
                "GET",
                REWARDS,
                "List what games give to the slots of a title.",
                self._list,
                answer=wire.AllGameRewards,
                errors=(Forbidden, InvalidField),
            ),
            edit(
                "PUT",
                f"{REWARDS}/{{ruleset}}",
                "Set what a ruleset's games give to the slots of a title.",
                self._put,
                body=wire.GameRewardsRequest,
                answer=wire.GameRewards,
                errors=(
                    Forbidden,
                    InvalidField,
                    AssetNotFound,
                    AssetRetired,
                    wire.TooManyGameRewards,
                ),
            ),
        ]

    async def _attach(self, request: HttpRequest) -> wire.SlotGame:
        who, slot_id = request.who.requester, _slot_id(request)
        return _shown(await self._service.attach(who, slot_id, request.body))

    async def _read(self, request: HttpRequest) -> wire.SlotGame:
        return _shown(await self._service.read(request.who.requester, _slot_id(request)))

    async def _detach(self, request: HttpRequest) -> wire.SlotGameDetached:
        slot_id = _slot_id(request)
        await self._service.detach(request.who.requester, slot_id)
        return wire.SlotGameDetached(slot_id=slot_id)

    async def _list(self, request: HttpRequest) -> wire.AllGameRewards:
        title = request.parse_path(TitlePath).title
        found = await self._service.list_rewards(title)
        return wire.AllGameRewards(rewards=[_rewards(each) for each in found])

    async def _put(self, request: HttpRequest) -> wire.GameRewards:
        path = request.parse_path(wire.GameRewardsPath)
        actor = request.who.user_id
        return _rewards(
            await self._service.put_rewards(path.title, path.ruleset, request.body, actor=actor)
        )


def _slot_id(request: HttpRequest) -> str:
    return request.parse_path(SlotPath).slot_id


def _shown(stored: StoredAttachment) -> wire.SlotGame:
    return wire.SlotGame(
        slot_id=stored.slot_id,
        lobby_id=stored.lobby_id,
        game_id=stored.game_id,
        attached_at=wire_time(stored.attached_at),
    )


def _rewards(stored: StoredRewards) -> wire.GameRewards:
    return wire.GameRewards(
        ruleset=stored.ruleset,
        rewards=[wire.GameRewardContent.model_validate(each) for each in stored.rewards],
        version=stored.version,
        updated_at=wire_time(stored.updated_at),
    )
