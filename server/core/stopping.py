"""Going away at once, when there was no time to go away well."""

import signal
from typing import Final

# What shells give as the status of who was ended by a signal, above its number.
SIGNALLED: Final = 128


class StoppedAtOnce(SystemExit):
    """A second signal came while the server went away; nothing more is waited for."""

    def __init__(self, number: signal.Signals) -> None:
        self.status = SIGNALLED + number
        super().__init__(self.status)
