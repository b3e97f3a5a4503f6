"""What an import from a Supabase project makes of accounts, rows and files."""

import asyncio
import re
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from argon2 import PasswordHasher

from persistence.accounts.metadata import Metadata
from persistence.accounts.sign_in import NewSignInMethod
from persistence.accounts.store import NewAccount
from persistence.files.parts import PartStore
from persistence.files.store import AnnouncedUpload, FileStore
from persistence.rls import Requester
from persistence.sealing import Seal
from persistence.supabase.source import Row, SupabaseSource
from persistence.supabase.target import SOCIAL_TABLES, ImportedAccount, ImportTarget
from protocol.codec import validate
from protocol.email_address import InvalidAddress, parse_address
from protocol.errors import PlayhallError
from protocol.files import FileTaken, NewUpload, media_type
from protocol.ids import SessionId, UserId, new_id
from protocol.limits import NAME_CHARS_MAX
from protocol.reserved_names import is_reserved
from protocol.text import sanitise_name
from server.core.clock import Clock
from server.core.passwords import COST
from server.domains.content.files import rules
from server.domains.content.files.http import CHUNK_BYTES
from server.domains.content.files.model import Buckets
from server.domains.content.files.uploads import RECEIVE_S, Uploads
from server.domains.people.accounts.codes import EMAIL
from server.domains.people.accounts.names import NUMBER_BITS, generate_names
from server.domains.people.accounts.service import NAME_DRAWS_MAX, draft_account
from server.domains.people.accounts.sign_in_methods import ProvedSignInMethod, seal_method
from server.domains.people.accounts.supabase_admin import check_password_hash

_KIND: Final = re.compile(r"[a-z][a-z0-9-]{0,31}")
_USERNAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{2,23}")
_CALLED: Final = ("display_name", "full_name", "name", "user_name")

Refused = Callable[[str, str], None]


class AccountImport:
    """Makes accounts of a project's users, and copies what they did."""

    def __init__(
        self, source: SupabaseSource, target: ImportTarget, *, seal: Seal, refused: Refused
    ) -> None:
        self._source = source
        self._target = target
        self._seal = seal
        self._refused = refused
        self.counts: Counter[str] = Counter()
        # Nobody has this password: who had none chooses one by mail.
        hasher = PasswordHasher(time_cost=COST.passes, memory_cost=COST.memory_kib)
        self._unknown = hasher.hash(secrets.token_urlsafe(32))

    async def run(self) -> None:
        """Import everything; what is here already stays as it is, so it can be run again."""
        await self._import_accounts()
        luminors: dict[str, str] = {}
        async for rows in self._source.read("luminors"):
            luminors |= await self._target.add_luminors(rows)
        for table in SOCIAL_TABLES:
            async for rows in self._source.read(table):
                for row in rows:
                    if row.get("luminor_id") in luminors:
                        row["luminor_id"] = luminors[row["luminor_id"]]
                async with self._target.batch():
                    self.counts[table] += await self._target.add_rows(table, rows)

    async def _import_accounts(self) -> None:
        profiles = {row["id"]: row async for rows in self._source.read("profiles") for row in rows}
        identities: dict[str, list[Row]] = {}
        async for rows in self._source.read("identities"):
            for row in rows:
                identities.setdefault(row["user_id"], []).append(row)
        async for rows in self._source.read("users"):
            async with self._target.batch():
                for row in rows:
                    if row.get("deleted_at") or await self._target.has_account(row["id"]):
                        continue
                    profile = profiles.get(row["id"])
                    await self._add(row, identities.get(row["id"], []), profile)

    async def _add(self, user: Row, identities: list[Row], profile: Row | None) -> None:
        user_id = UserId(user["id"])
        metadata = _objects(user)
        username = (profile or {}).get("username")
        if username is not None and (not _USERNAME.fullmatch(username) or is_reserved(username)):
            self._refused(f"username {user_id}", f"{username!r} cannot be one here")
            username = None
        for _ in range(NAME_DRAWS_MAX):
            names = generate_names(secrets.randbits(NUMBER_BITS))
            account = draft_account(names, _display_name(profile, metadata), user_id=user_id)
            imported = ImportedAccount(
                account=account,
                methods=self._methods(account, user, identities),
                metadata=metadata,
                created_at=user.get("created_at"),
                username=username,
                profile=profile,
                banned_until=_later(user.get("banned_until")),
            )
            if await self._target.add_account(imported):
                self.counts["accounts"] += 1
                return

    def _methods(
        self, account: NewAccount, user: Row, identities: list[Row]
    ) -> list[NewSignInMethod]:
        user_id = account.user_id
        found: list[NewSignInMethod] = []
        if user.get("email"):
            hashed = self._password_hash(user)
            if not user.get("email_confirmed_at"):
                self._refused(f"account {user_id}: email", "the address was never confirmed")
            elif (address := _address(user["email"])) is None:
                self._refused(f"account {user_id}: email", "it is no address")
            else:
                proved = ProvedSignInMethod(EMAIL, address)
                found.append(seal_method(self._seal, user_id, proved, password_hash=hashed))
        for identity in identities:
            data = identity.get("identity_data") or {}
            kind, sub = identity["provider"], identity.get("provider_id") or data.get("sub")
            if not _KIND.fullmatch(kind) or not sub or " " in str(sub):
                self._refused(f"account {user_id}: {kind}", "it has no id at the provider")
                continue
            label = next((str(data[key]) for key in _CALLED if data.get(key)), "")
            proved = ProvedSignInMethod(kind, str(sub), label[:NAME_CHARS_MAX])
            found.append(seal_method(self._seal, user_id, proved, password_hash=None))
        return found

    def _password_hash(self, user: Row) -> str:
        stored = user.get("encrypted_password")
        if not stored:
            return self._unknown
        try:
            return check_password_hash(stored)
        except ValueError:
            self._refused(f"account {user['id']}: password", "its hash is not known here")
            return self._unknown


class FileImport:
    """Takes in the files of a project from a folder, `<bucket>/<path>` as they were there."""

    def __init__(
        self,
        *,
        files: FileStore,
        parts: PartStore,
        uploads: Uploads,
        buckets: Buckets,
        clock: Clock,
        refused: Refused,
    ) -> None:
        self._files = files
        self._parts = parts
        self._uploads = uploads
        self._buckets = buckets
        self._clock = clock
        self._refused = refused

    async def run(self, source: SupabaseSource, folder: Path) -> int:
        """Take in what the project lists; says how many files are here now."""
        taken = 0
        async for rows in source.read("objects"):
            for row in rows:
                place = f"{row['bucket_id']}/{row['name']}"
                try:
                    await self._take(row, folder / row["bucket_id"] / row["name"])
                except FileTaken:
                    taken += 1  # it is here from before
                except (OSError, PlayhallError) as error:
                    why = error.message if isinstance(error, PlayhallError) else error.strerror
                    self._refused(f"file {place}", why or type(error).__name__)
                else:
                    taken += 1
        return taken

    async def _take(self, row: Row, path: Path) -> None:
        bucket, name = row["bucket_id"], row["name"]
        kind = media_type((row.get("metadata") or {}).get("mimetype") or "")
        given = {"bucket": bucket, "path": name, "size": _size(path), "content_type": kind}
        new = validate(NewUpload, given)
        owner = UserId(name.partition("/")[0])
        rules.check_upload(new, owner, self._buckets)
        upload = AnnouncedUpload(new_id(), owner, None, **new.model_dump())
        await self._files.announce_upload(
            Requester(owner, SessionId(new_id())),
            upload,
            expires_at=self._clock.now() + timedelta(seconds=RECEIVE_S),
            may_replace=False,
            require_room=lambda _: None,  # what somebody has, they keep
        )
        await self._parts.claim(upload.upload_id, for_s=RECEIVE_S)
        await self._uploads.assemble(upload, _chunks(path))


def _size(path: Path) -> int:
    return path.stat().st_size


async def _chunks(path: Path) -> AsyncIterator[bytes]:
    with await asyncio.to_thread(path.open, "rb") as file:
        while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
            yield chunk


def _objects(user: Row) -> Metadata:
    """Give what the application kept of a user; which providers there are, is known otherwise."""
    written = user.get("raw_user_meta_data") or {}
    by_app = user.get("raw_app_meta_data") or {}
    return Metadata(
        {key: value for key, value in written.items() if value is not None},
        {key: value for key, value in by_app.items() if key not in ("provider", "providers")},
    )


def _display_name(profile: Row | None, metadata: Metadata) -> str | None:
    written: Mapping[str, Any] = metadata.user_data
    for given in ((profile or {}).get("display_name"), *map(written.get, _CALLED)):
        if isinstance(given, str):
            name = sanitise_name(given, chars_max=NAME_CHARS_MAX)
            if name and not is_reserved(name):
                return name
    return None


def _address(text: str) -> str | None:
    try:
        parse_address(text)
    except InvalidAddress:
        return None
    return text


def _later(text: str | None) -> datetime | None:
    """Read when a ban ends, if it has not ended."""
    return None if text is None else datetime.fromisoformat(text)
