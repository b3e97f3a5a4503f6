"""`playhall` as it is installed: Ctrl+C ends it quietly also while it is still being imported."""

import gc
import sys
from importlib import import_module

INTERRUPTED = 128 + 2


def main() -> None:
    """Import the command line and run it."""
    gc.disable()  # until it runs: imports make no garbage that is worth the search
    try:
        command_line = import_module("server.cli")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    command_line.main()
