"""Merging another account of one's own into the present one: preview, merge, undo.

Whoever merges proves both accounts: the one that stays by the token of the request, the other by a
token of its own, each from a sign-in not long ago if there is a way to sign in. So a token that was
stolen neither takes its account over nor is traded for new ones. A session that a merge opened is
no sign-in.
"""

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from persistence.accounts.merge_progress import TooMuch
from persistence.accounts.merges import (
    AccountGone,
    AccountPlaying,
    AccountSubscribed,
    MergeNotUndoable,
    MergePlan,
    MergePlanChanged,
    MergeRow,
    MergeStore,
    NoSuchMerge,
)
from persistence.sealing import Seal, Unsealable
from protocol import accounts as wire
from protocol.errors import (
    BadToken,
    InvalidField,
    MergeBlocked,
    MergeChanged,
    MergeFinal,
    NotFound,
    SignInAgain,
)
from protocol.ids import SessionId, UserId, new_id
from server.core.clock import Clock, wire_time
from server.domains.people.accounts.keys import ScopedTokens
from server.domains.people.accounts.sealed import method_context
from server.domains.people.accounts.service import Accounts
from server.gateway.session.identity import Identity

log = logging.getLogger(__name__)

SIGNED_IN_WITHIN: Final = timedelta(minutes=15)
PREVIEW_S: Final = 600
MERGE: Final = "merge"  # what sessions that a merge opened were signed in with
NO_SIGN_INS: Final = ("guest", MERGE)
TOO_MUCH: Final = (
    "Together the accounts have more of a currency than one can hold; spend some of it first."
)

SUBSCRIBED: Final = (
    "The account that would be merged has a subscription; cancel it first, or merge the other way."
)


class AccountMergeService:
    """Merges accounts. `revoked` publishes sessions that ended; `tokens` are those of previews."""

    def __init__(
        self,
        *,
        store: MergeStore,
        accounts: Accounts,
        seal: Seal,
        tokens: ScopedTokens,
        clock: Clock,
        undo_s: float,
        revoked: Callable[..., None],
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._seal = seal
        self._tokens = tokens
        self._clock = clock
        self._undo_s = undo_s
        self._revoked = revoked

    async def preview(self, who: Identity, access_token: str) -> wire.MergePreview:
        """Say what merging the account of a token into one's own would do."""
        try:
            other = await self._accounts.authenticate(access_token)
        except BadToken as error:
            raise InvalidField(f"access_token: {error.message}", field="access_token") from None
        if other.user_id == who.user_id:
            raise InvalidField(
                "access_token: it is of this account; sign in to the other one.",
                field="access_token",
            )
        await self._require_fresh(who)
        await self._require_fresh(other)
        merge_id = new_id()
        try:
            plan = await self._store.preview(
                who.user_id,
                other.user_id,
                merge_id=merge_id,
                undo_s=self._undo_s,
                reseal=self._reseal,
            )
        except AccountPlaying:
            raise MergeBlocked from None
        except TooMuch:
            raise MergeBlocked(TOO_MUCH) from None
        except AccountSubscribed:
            raise MergeBlocked(SUBSCRIBED) from None
        except AccountGone:
            raise MergeChanged from None
        token = self._tokens.write(
            {
                "into": who.user_id,
                "merged": other.user_id,
                "session": other.session_id,
                "merge": merge_id,
                "digest": plan.digest,
            }
        )
        return _shown(plan, token.token, token.expires_at)

    async def merge(self, who: Identity, merge_token: str) -> wire.MergeDone:
        """Do what a preview said; raise `MergeChanged` if that is not what would happen now."""
        try:
            claims = await self._tokens.read(merge_token)
        except BadToken:
            raise InvalidField(
                "merge_token: it is not valid or has expired; preview the merge again.",
                field="merge_token",
            ) from None
        if claims["into"] != who.user_id:
            raise InvalidField(
                "merge_token: it is of another account's preview.", field="merge_token"
            )
        session, refresh_token = self._accounts.issuer.new_session(MERGE)
        try:
            done = await self._store.merge(
                who.user_id,
                UserId(claims["merged"]),
                merge_id=claims["merge"],
                session_id=SessionId(claims["session"]),
                digest=claims["digest"],
                undo_s=self._undo_s,
                reseal=self._reseal,
                session=session,
            )
        except AccountPlaying:
            raise MergeBlocked from None
        except TooMuch:
            raise MergeBlocked(TOO_MUCH) from None
        except AccountSubscribed:
            raise MergeBlocked(SUBSCRIBED) from None
        except (AccountGone, MergePlanChanged):
            raise MergeChanged from None
        self._revoked(*done.ended)
        return wire.MergeDone(
            merge_id=claims["merge"],
            undo_until=wire_time(done.plan.undo_until),
            tokens=self._accounts.issuer.make_tokens(done.holder, refresh_token),
        )

    async def undo(self, who: Identity, merge_id: str) -> wire.MergeUndone:
        """Make two accounts of one again; raise `MergeFinal`, `MergeBlocked` or `NotFound`."""
        await self._require_fresh(who)
        sessions = [self._accounts.issuer.new_session(MERGE) for _ in range(2)]
        try:
            undone = await self._store.undo(
                merge_id,
                who.user_id,
                reseal=self._reseal,
                sessions=[each.session for each in sessions],
            )
        except NoSuchMerge:
            raise NotFound(
                "Nothing was merged into your account under this id; GET /v1/me/merges lists it."
            ) from None
        except AccountPlaying:
            raise MergeBlocked from None
        except AccountGone:
            raise MergeFinal("This merge cannot be undone: an account is gone.") from None
        except MergeNotUndoable as why:
            raise MergeFinal(f"This merge cannot be undone: {why}.") from None
        self._revoked(*undone.ended)
        issuer = self._accounts.issuer
        return wire.MergeUndone(
            moved=undone.moved,
            missing=undone.missing,
            tokens=issuer.make_tokens(undone.stays, sessions[0].refresh_token),
            merged_tokens=issuer.make_tokens(undone.merged, sessions[1].refresh_token),
        )

    async def list_of(self, who: Identity) -> wire.Merges:
        """List what was merged into one's account."""
        return wire.Merges(
            merges=[_listed(row) for row in await self._store.list_merges(who.user_id)]
        )

    async def _require_fresh(self, who: Identity) -> None:
        """Raise `SignInAgain` unless the account was signed in to lately, or nobody can do that."""
        proof = await self._store.read_session_proof(who.user_id, who.session_id)
        if proof is None:
            raise MergeChanged
        is_fresh = proof.signed_in_at >= self._clock.now() - SIGNED_IN_WITHIN
        if proof.can_sign_in and (proof.method in NO_SIGN_INS or not is_fresh):
            raise SignInAgain

    def _reseal(self, kind: str, sealed: bytes, before: UserId, after: UserId) -> bytes | None:
        try:
            plain = self._seal.open(sealed, about=method_context(kind, before))
        except Unsealable as error:
            log.error("a sign-in method was not merged: %s", error)  # noqa: TRY400
            return None
        return self._seal.seal(plain, about=method_context(kind, after))


def _shown(plan: MergePlan, token: str, expires_at: str) -> wire.MergePreview:
    merged = plan.merged
    return wire.MergePreview(
        merge_token=token,
        expires_at=expires_at,
        account=wire.MergedAccount(
            user_id=merged.user_id,
            player_id=merged.player_id,
            username=merged.username,
            display_name=merged.display_name,
            xp_total=merged.xp_total,
        ),
        moves=[
            wire.MergeMove(
                table=move.relation.removeprefix("public."),
                column=move.referrer,
                rows=move.moved,
                kept=move.kept,
            )
            for move in plan.moves
        ],
        renamed_slots=[wire.MergedSlot(**each._asdict()) for each in plan.renamed],
        balances=[wire.MergedBalance(**each._asdict()) for each in plan.balances],
        refused_purposes=plan.refused,
        methods=plan.methods_moved,
        methods_kept=plan.methods_kept,
        undo_until=wire_time(plan.undo_until),
    )


def _listed(row: MergeRow) -> wire.Merge:
    times = {
        "merged_at": wire_time(row.merged_at),
        "undo_until": wire_time(row.undo_until),
        "undone_at": None if row.undone_at is None else wire_time(row.undone_at),
    }
    return wire.Merge(**{**row._asdict(), **times})
