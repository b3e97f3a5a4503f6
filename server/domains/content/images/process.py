"""Starting the process that works at one image, and ending it."""

import asyncio
import logging
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE
from typing import IO, Final, NamedTuple

import orjson

from persistence.images.store import ImageFacts
from server.domains.content.images.settings import ImageSettings

log = logging.getLogger(__name__)

WORKER: Final = "server.domains.content.images.worker"
SAID_BYTES_MAX: Final = 4096
# What it may take beyond its CPU time before it is killed: starting, and waiting for a core, which
# others may keep busy for long, since it comes after them.
SPARE_S: Final = 60.0
# What it may say about an image; anything else counts as a failure.
REFUSALS: Final = frozenset(["not_an_image", "too_large", "too_many_frames"])


class ImageRefused(Exception):
    """The image cannot be processed, however often it is tried."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class WorkerDied(Exception):
    """The process ended without a result: killed by a bound, by us, or by somebody else."""


class ImageFiles(NamedTuple):
    """The image as it was uploaded, and two empty files for what is made of it."""

    source: IO[bytes]
    cleaned: IO[bytes]
    thumbnail: IO[bytes]


async def process_image(
    files: ImageFiles, content_type: str, *, bytes_max: int, settings: ImageSettings
) -> ImageFacts:
    """Process an image; raise `ImageRefused` or `WorkerDied`."""
    descriptors = (files.cleaned.fileno(), files.thumbnail.fileno())
    bounds = (
        *(bytes_max, settings.pixels_max, settings.frames_max),
        *(settings.memory_bytes_max, settings.seconds_max),
    )
    files.source.seek(0)
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", WORKER, content_type),
            *map(str, (*bounds, *descriptors)),
            stdin=files.source,
            stdout=PIPE,
            stderr=DEVNULL,
            env=_environment(),
            pass_fds=descriptors,
            start_new_session=True,
        )
    except OSError as error:
        raise WorkerDied(f"it could not be started: {error.strerror}") from error
    assert process.stdout is not None
    try:
        async with asyncio.timeout(settings.seconds_max + SPARE_S):
            said = await process.stdout.read(SAID_BYTES_MAX)
            while more := await process.stdout.read(SAID_BYTES_MAX):
                said = (said + more)[: SAID_BYTES_MAX + 1]
            status = await process.wait()
    except TimeoutError as error:
        raise WorkerDied("it took too long") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if status != 0 or len(said) > SAID_BYTES_MAX:
        raise WorkerDied(f"it ended with {status}")
    return _parse(said)


def _environment() -> dict[str, str]:
    """Give what Python needs to start, and nothing of what the server knows."""
    return {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "LC_ALL": "C.UTF-8"}


def _parse(said: bytes) -> ImageFacts:
    """Read what the process said; it is trusted with nothing."""
    try:
        reply = orjson.loads(said)
        if (code := reply.get("refused")) is not None:
            raise ImageRefused(code if code in REFUSALS else "processing_failed")
        width, height, blurhash = reply["width"], reply["height"], reply["blurhash"]
        facts = ImageFacts(int(width), int(height), str(blurhash))
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise WorkerDied("it said nothing that can be understood") from error
    if not (facts.width > 0 and facts.height > 0 and 6 <= len(facts.blurhash) <= 128):
        raise WorkerDied("it said nothing that can be understood")
    return facts
