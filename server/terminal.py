"""What a command is started with: standard streams that may be closed, broken or ASCII.

A command must not end in a traceback because of them, and its output is not worth more than
what it does: a server whose terminal goes away serves on.
"""

import errno
import os
import re
import shutil
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Final

PROGRAM: Final = "playhall"
MODULE_FILE: Final = "cli.py"  # as `python -m server.cli` is called

STREAMS = (0, 1, 2)
# Why a standard stream that leads to a file cannot be written: the disk or a quota is full, the
# file is as long as it may be, or the disk is broken.
UNWRITABLE: Final = frozenset([errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO])


def prepare_streams() -> None:
    """Open what is closed, on nothing; write `?` for what a terminal's encoding does not have.

    Without this, the next socket or file would become standard output.
    """
    for descriptor in STREAMS:
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free: this one
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - a descriptor
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            stream = open(descriptor, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)
        getattr(sys, name).reconfigure(errors="replace")


def flush_streams() -> OSError | None:
    """Write out what is left; give the error of a stream that cannot be written.

    A stream that is no longer read is no error. In both cases Python must not complain at its end.
    """
    unwritable = None
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno in UNWRITABLE:
                unwritable = error
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, stream.fileno())
            os.close(nothing)
    return unwritable


def command_name() -> str:
    """Give the command that runs this program from the folder it was started in."""
    called = Path(sys.argv[0])
    if called.name == MODULE_FILE:
        return f"{sys.executable} -m server.cli"
    if called.name != PROGRAM:
        return PROGRAM  # within another program
    found = shutil.which(PROGRAM)
    if found is not None and Path(found).resolve() == called.resolve():
        return PROGRAM
    return os.path.relpath(called)


def spell_commands(text: str, commands: Collection[str]) -> str:
    """Write the commands of this program that a text names as they work where it was started."""
    names = "|".join(map(re.escape, sorted(commands, key=len, reverse=True)))
    called = command_name()
    return re.sub(rf"(?<![\w./-]){PROGRAM} (?=(?:{names})\b)", lambda _: f"{called} ", text)


def find_unreadable_argument(arguments: list[str]) -> str | None:
    """Give the first argument that is not text in the terminal's encoding, made readable."""
    for argument in arguments:
        if any("\ud800" <= letter <= "\udfff" for letter in argument):
            return argument.encode("ascii", "backslashreplace").decode()
    return None
