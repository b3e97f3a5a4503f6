"""Content packages on disk, kept up to date: what is missing is fetched, verified and put in place.

    async with Http("https://play.example") as http:
        content = Content(http, Path("content"), client="1.4.0", locale="de-AT")
        for package in await content.update():
            load(package.path)

A download that breaks off goes on where it ended, even in another run of the program. A delta is
used where one starts from what is there and zstd is (Python 3.14, or the package `backports.zstd`);
one that is cut off or wrong is found out by its checksum, and the whole package is fetched instead.
A package is put in place only once its checksum is right.

The checksums come from the server that is asked. To trust it no more than necessary, verify with a
client of The Update Framework: see `docs/guides/content.md`.
"""

import asyncio
import hmac
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

import orjson

from playhall.errors import ConnectionLost, DataDamaged, Json, RequestRefused, ServerUnreachable
from playhall.http import HttpClient, full_jitter_pause_s

PART_BYTES: Final = 1024 * 1024  # that are asked for at once
TRIES_MAX: Final = 8  # of a part, in a row
BYTES_MAX: Final = 4 * 1024**3
# Deltas are applied in memory, with both versions.
DELTA_BYTES_MAX: Final = 256 * 1024 * 1024
WINDOW_LOG_MAX: Final = 31

_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_CHECKSUM: Final = re.compile("sha256:[0-9a-f]{64}")


class InstalledPackage(NamedTuple):
    """A package that is there, and was verified."""

    package_id: str
    name: str
    version: str
    kind: str
    locale: str
    checksum: str
    size: int
    path: Path


class ContentFolder:
    """The packages in a folder that nothing else writes to.

    `client` is the game's version. `mods` are the names of those that the player chose. A staged
    rollout goes by the account of `token`, or by `installation`, any text that stays the same.
    """

    def __init__(
        self,
        http: HttpClient,
        folder: Path,
        *,
        client: str,
        locale: str = "und",
        channels: Iterable[str] = ("stable",),
        mods: Iterable[str] = (),
        installation: str = "",
        token: str | None = None,
    ) -> None:
        self.deltas_applied = 0
        self.bytes_fetched = 0
        self._http = http
        self._folder = folder
        self._token = token
        self._question = {
            "client": client,
            "locale": locale,
            "channel": ",".join(channels),
            "mods": ",".join(mods),
            "installation": installation,
        }

    async def update(self) -> list[InstalledPackage]:
        """Fetch what is missing, remove what was withdrawn or replaced; gives what is there.

        Raises `RequestRefused`, `ServerUnreachable`, `ConnectionLost` for a download that makes no
        progress, and `DataDamaged` for bytes that are not what was announced. The old packages stay
        until the new ones are complete.
        """
        await asyncio.to_thread(self._folder.mkdir, parents=True, exist_ok=True)
        there = {each.package_id: each for each in await asyncio.to_thread(self._read)}
        question = {**self._question, "have": ",".join(there)}
        manifest = await self._http.get(
            f"/v1/content/manifest?{urlencode(question)}", token=self._token
        )
        for fetch in manifest["fetch"]:
            package = self._announced(fetch)
            await self._fetch(package, fetch, there)
            there[package.package_id] = package
            await asyncio.to_thread(self._write, there)
        for package_id in manifest["remove"]:
            there.pop(package_id, None)
        await asyncio.to_thread(self._write, there)
        await asyncio.to_thread(self._clear, there)
        return list(there.values())

    # ------------------------------------------------------------------ one package

    def _announced(self, fetch: Json) -> InstalledPackage:
        """Read what is to be fetched; what the server says never names a file elsewhere."""
        package_id, checksum, size = fetch["package_id"], fetch["checksum"], fetch["size"]
        if not (_ID.fullmatch(package_id) and _CHECKSUM.fullmatch(checksum)):
            raise DataDamaged("The manifest is malformed.")
        if not 0 < size <= BYTES_MAX:
            raise DataDamaged(f"{fetch['name']} has {size} bytes, which is more than {BYTES_MAX}.")
        return InstalledPackage(
            package_id=package_id,
            name=fetch["name"],
            version=fetch["version"],
            kind=fetch["kind"],
            locale=fetch["locale"],
            checksum=checksum,
            size=size,
            path=self._folder / f"{package_id}.pkg",
        )

    async def _fetch(
        self, package: InstalledPackage, fetch: Json, there: dict[str, InstalledPackage]
    ) -> None:
        delta = fetch["delta"]
        if delta is not None and await self._patched(package, delta, there):
            self.deltas_applied += 1
            return
        part = package.path.with_suffix(".part")
        await self._download(fetch["url"], part, checksum=package.checksum, size=package.size)
        await asyncio.to_thread(part.replace, package.path)

    async def _patched(
        self, package: InstalledPackage, delta: Json, there: dict[str, InstalledPackage]
    ) -> bool:
        """Make a package of what is there; False if that is not possible after all."""
        parent, zstd = there.get(delta["from_package_id"]), _zstd()
        if parent is None or zstd is None or delta["format"] != "zstd-patch":
            return False
        if parent.size + package.size + delta["size"] > DELTA_BYTES_MAX:
            return False
        part = package.path.with_suffix(".delta")
        try:
            await self._download(delta["url"], part, checksum=delta["checksum"], size=delta["size"])
            await asyncio.to_thread(_apply, zstd, parent, part, package)
        except (DataDamaged, ConnectionLost, RequestRefused, zstd.ZstdError):
            return False  # the whole package is fetched, and says what is wrong if it is that too
        finally:
            await asyncio.to_thread(part.unlink, missing_ok=True)
        return True

    async def _download(self, url: str, part: Path, *, checksum: str, size: int) -> None:
        """Download the rest of a file; raise `DataDamaged` for bytes that were not announced."""
        start = await asyncio.to_thread(_size_of, part)
        for _ in range(2):  # what an earlier run left may be of something else
            if start > size:
                start = 0
            with await asyncio.to_thread(part.open, "r+b" if start else "wb") as file:
                await asyncio.to_thread(file.seek, start)
                while start < size:
                    end = min(start + PART_BYTES, size)
                    tag = checksum.removeprefix("sha256:")
                    file.write(await self._part(url, start, end, tag))
                    self.bytes_fetched += end - start
                    start = end
            if await asyncio.to_thread(_has, part, checksum, size):
                return
            await asyncio.to_thread(part.unlink)
            start = 0
        raise DataDamaged(f"The bytes at {url} are not what was announced.")

    async def _part(self, url: str, start: int, end: int, tag: str) -> bytes:
        for attempt in range(TRIES_MAX):
            with suppress(ServerUnreachable):
                return await self._http.get_range(url, start, end, tag=tag, token=self._token)
            await asyncio.sleep(full_jitter_pause_s(attempt))
        raise ConnectionLost(
            f"The download of {url} does not get on; it continues at byte {start}."
        )

    # ------------------------------------------------------------------ the folder

    @property
    def _index(self) -> Path:
        return self._folder / "installed.json"

    def _read(self) -> list[InstalledPackage]:
        """Read what is there and whole; what is not, is fetched again."""
        try:
            entries = orjson.loads(self._index.read_bytes())
            listed = [
                InstalledPackage(**entry, path=self._folder / f"{entry['package_id']}.pkg")
                for entry in entries
                if _ID.fullmatch(entry["package_id"])
            ]
        except (OSError, ValueError, TypeError, KeyError):
            return []
        return [each for each in listed if _has(each.path, each.checksum, each.size)]

    def _write(self, there: dict[str, InstalledPackage]) -> None:
        entries = []
        for each in there.values():
            entry = each._asdict()
            del entry["path"]
            entries.append(entry)
        _replace(self._index, orjson.dumps(entries))

    def _clear(self, there: dict[str, InstalledPackage]) -> None:
        """Delete files of packages that are not there any more."""
        for path in self._folder.iterdir():
            if path.suffix in (".pkg", ".part", ".delta") and path.stem not in there:
                path.unlink()


def _apply(zstd: Any, parent: InstalledPackage, delta: Path, package: InstalledPackage) -> None:
    prefix = zstd.ZstdDict(parent.path.read_bytes(), is_raw=True).as_prefix
    options = {zstd.DecompressionParameter.window_log_max: WINDOW_LOG_MAX}
    decompressor = zstd.ZstdDecompressor(zstd_dict=prefix, options=options)
    # Never more than was announced, whatever the delta would become.
    content = decompressor.decompress(delta.read_bytes(), max_length=package.size + 1)
    digest = f"sha256:{sha256(content).hexdigest()}"
    if len(content) != package.size or not hmac.compare_digest(digest, package.checksum):
        raise DataDamaged(f"The delta does not make {package.name} {package.version}.")
    _replace(package.path, content)


def _replace(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    unfinished = path.with_suffix(".new")
    with unfinished.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def _has(path: Path, checksum: str, size: int) -> bool:
    """Say whether a file is there, and is what it should be."""
    if _size_of(path) != size:
        return False
    digest = sha256()
    with path.open("rb") as file:
        while chunk := file.read(PART_BYTES):
            digest.update(chunk)
    return hmac.compare_digest(f"sha256:{digest.hexdigest()}", checksum)


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _zstd() -> Any:
    """Find zstd: in Python itself, or in a package that need not be there."""
    for name in ("compression.zstd", "backports.zstd"):
        with suppress(ImportError):
            return import_module(name)
    return None
