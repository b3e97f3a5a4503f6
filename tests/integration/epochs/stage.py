"""A day to play: a clock to move, bots with owners and tokens, people with wallets."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import count
from typing import Any

from persistence.bots.store import BotStore
from persistence.database import Connection, Database
from persistence.epochs.claims import ClaimStore, NewClaim
from persistence.epochs.steps import SettlementStore
from persistence.epochs.store import EpochDay, EpochStore
from persistence.epochs.votes import CountedVote, NewVote, VoteStore
from persistence.rls import Requester, RlsDatabase
from protocol.epoch_profile import EpochProfile, TargetType
from protocol.ids import BotId, EpochId, SessionId, UserId, new_id
from server.domains.compete.epochs.rules import (
    choose_voting_wallet,
    explain_vote_refusal,
    require_claim_allowed,
)
from server.domains.compete.epochs.scheduler import Scheduler
from server.domains.compete.epochs.steps import EpochSteps
from tests.fixtures.rows import add_player, add_profile

DAY = date(2026, 2, 12)
MIDNIGHT = datetime(2026, 2, 12, tzinfo=UTC)


def profile(slots: int = 8, **changed: Any) -> dict[str, Any]:
    """A day of free text with a pool; claims come as fast as they like."""
    return {
        "slots": {
            "count": slots,
            "map": [
                {"type": "text", "label": f"Slot {i}", "constraints_id": "text"}
                for i in range(slots)
            ],
        },
        "world": {"layout_id": f"stage-{slots}"},
        "governance": {
            "bot_voting": True,
            "targets": [
                {"type": "bot", "score_min": "-1", "score_max": "1"},
                {"type": "tempo", "score_min": "0", "score_max": "1", "options": ["90", "124"]},
                {"type": "world_theme", "score_min": "0", "score_max": "1"},
            ],
        },
        "cooldowns": {"bot_s": 0, "slot_s": 0, "vote_s": 0},
        "settlement": {
            "weights": {"time": "1", "claim": "60", "defense": "0.5", "vote": "3600"},
            "payout": {"pool_wei": 10**18 + 7},
        },
        **changed,
    }


@dataclass(frozen=True)
class Bot:
    """A bot with a token that may do everything, and its owner's address."""

    bot_id: BotId
    token_id: SessionId
    owner: str


@dataclass
class Stage:
    """What a test plays on. `objects` is what was put into the store."""

    database: Database
    rls: RlsDatabase
    node: str = "n1"
    objects: dict[str, bytes] = field(default_factory=dict)
    owners_known: bool = True
    numbers: Any = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        self.days = EpochStore(self.database)
        self.store = SettlementStore(self.database)
        self.claims = ClaimStore(self.database)
        self.ballots = VoteStore(self.database, self.rls)
        self.bots = BotStore(self.database, self.rls)
        self.steps = EpochSteps(
            self.store,
            self.days,
            owners_at=self.owners_at,
            owners_known=self.are_owners_known,
            put=self.put,
            node=self.node,
        )
        self.scheduler = Scheduler(self.days, self.store, self.steps, node=self.node)

    async def owners_at(self, bots: Collection[BotId], at: datetime) -> Mapping[BotId, str]:
        return await self.bots.find_owners_at(bots, at)

    async def are_owners_known(self, _: datetime) -> bool:
        return self.owners_known

    async def put(self, key: str, content: bytes) -> None:
        self.objects[key] = content

    # ------------------------------------------------------------------ time

    async def at(self, moment: datetime) -> None:
        """Let it be this time."""
        await self.days.set_clock(moment)

    async def keep_profile(self, rules: dict[str, Any], *, key: str = "test-v1") -> None:
        """Let new days be made by a profile."""
        await self.days.save_profile(key, EpochProfile.model_validate(rules))
        await self.days.activate_profile(key)

    async def announce(self, rules: dict[str, Any] | None = None, *, key: str = "test-v1") -> None:
        """Make the day by a profile, half an hour before it begins."""
        await self.keep_profile(rules or profile(), key=key)
        await self.at(MIDNIGHT - timedelta(minutes=30))
        await self.scheduler.tick()

    async def open(self, rules: dict[str, Any] | None = None, *, key: str = "test-v1") -> EpochId:
        """Make the day by a profile, and let it be live since a second."""
        await self.keep_profile(rules or profile(), key=key)
        await self.at(MIDNIGHT + timedelta(seconds=1))
        await self.scheduler.tick()
        return (await self.day()).epoch_id

    async def day(self) -> EpochDay:
        return await self.days.read_day(DAY)

    async def finish(self) -> None:
        """Let the day end, and do all that is due."""
        await self.at(MIDNIGHT + timedelta(days=1))
        await self.scheduler.tick()

    # ------------------------------------------------------------------ who plays

    async def bot(self, slug: str | None = None) -> Bot:
        number = next(self.numbers)
        owner = f"0x{number:040x}"
        async with self.database.transaction() as connection:
            await _add_wallet(connection, owner)
            bot_id = await connection.fetchval(
                "INSERT INTO bot_identities (slug, player_id, chain_id, contract_address, token_id)"
                " VALUES ($1, $2, 1, $3, $4) RETURNING id",
                slug or f"bot_{number}",
                await add_player(connection),
                "0x" + "a" * 40,
                Decimal(number),
            )
            await connection.execute(
                "INSERT INTO bot_identity_owners (bot_identity_id, owner_address, effective_from)"
                " VALUES ($1, $2, '2026-01-01Z')",
                bot_id,
                owner,
            )
            token_id = await connection.fetchval(
                "INSERT INTO bot_tokens (bot_identity_id, token_hash, scopes, created_by_address)"
                " VALUES ($1, $2, '{claim,vote,read}', $3) RETURNING id",
                bot_id,
                number.to_bytes(32, "big"),
                owner,
            )
        return Bot(bot_id, token_id, owner)

    async def voter(self) -> tuple[Requester, str]:
        """Somebody with a wallet."""
        number = next(self.numbers)
        wallet = f"0x{number:040x}"
        async with self.database.transaction() as connection:
            user_id = await _add_wallet(connection, wallet)
        return Requester(UserId(user_id), SessionId(new_id())), wallet

    async def claim(self, bot: Bot, slot_index: int, code: str, *, at_s: float) -> int:
        """Claim at a second of the day."""
        await self.at(MIDNIGHT + timedelta(seconds=at_s))
        return await self.claim_now(bot, slot_index, code)

    async def claim_now(self, bot: Bot, slot_index: int, code: str) -> int:
        epoch_id = (await self.day()).epoch_id
        claim = NewClaim(epoch_id, slot_index, code, bot.bot_id, bot.token_id)
        return await self.claims.claim(claim, require_claim_allowed)

    async def vote(
        self, who: Requester, target_id: str, score: str, *, kind: TargetType = "bot"
    ) -> CountedVote:
        epoch_id = (await self.day()).epoch_id
        vote = NewVote(epoch_id, who.session_id, kind, target_id, Decimal(score))
        with explain_vote_refusal():
            return await self.ballots.cast_vote(
                who, vote, partial(choose_voting_wallet, wallet=None)
            )


async def _add_wallet(connection: Connection, address: str) -> Any:
    """Add somebody with a wallet."""
    user_id = await add_profile(connection, f"u_{address[-10:]}")
    await connection.execute(
        "INSERT INTO wallets (address, user_id) VALUES ($1, $2)", address, user_id
    )
    return user_id
