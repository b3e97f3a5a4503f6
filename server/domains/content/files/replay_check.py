"""Checking a replay between peers in a process of its own.

Eight kilobytes can unpack to millions of values. Parsing them is a second in which no thread
of ours gets a turn, and every game of the node stands still.

    python -m server.domains.content.files.replay_check

The file comes on stdin; what is wrong with it, if anything, goes to stdout.
"""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE
from typing import Final

from protocol.files import FileRefused
from server.domains.content.files.replay_file import check_peer_replay

REFUSED: Final = 3  # the exit status; Python's own for a crash are 1 and 2


async def check_in_subprocess(content: bytes) -> None:
    """Refuse what is no replay of a game between peers; raise `FileRefused`."""
    # It finds what we found, not what happens to be in the working directory (-P); and has a
    # session of its own, so that Ctrl+C is left to the server, which waits for it.
    env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = (sys.executable, "-P", "-m", __name__)
    process = await asyncio.create_subprocess_exec(
        *command, stdin=PIPE, stdout=PIPE, env=env, start_new_session=True
    )
    try:
        said, _ = await process.communicate(content)
    except BaseException:
        process.kill()
        await process.wait()
        raise
    if process.returncode == REFUSED:
        raise FileRefused(said.decode())
    if process.returncode != 0:
        raise RuntimeError(f"the replay check exited with {process.returncode}")


def main() -> int:
    """Check what comes on stdin."""
    try:
        check_peer_replay(sys.stdin.buffer)
    except FileRefused as error:
        sys.stdout.buffer.write(error.message.encode())
        return REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main())
