"""`playhall` as it is installed: Ctrl+C ends it quietly also while it is still being imported."""

import sys
from importlib import import_module

INTERRUPTED = 128 + 2


def main() -> None:
    """Import the command line and run it."""
    try:
        command_line = import_module("server.cli")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    command_line.main()
