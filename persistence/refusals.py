"""Why persistence refuses to start: each message is a sentence that says what to do.

StartRefused
├── UnusableFolder     the bundled PostgreSQL cannot work in its folder
├── UnsafeDatabase     the database could lose moves, or lets the server do too much
├── NotMigrated        the schema is not the one that this program is written for
└── UnknownRevision    the schema cannot be brought to what was asked for
"""


class StartRefused(Exception):
    """The server cannot start like this."""


class UnusableFolder(StartRefused):
    """The bundled PostgreSQL cannot work in its data folder."""


class UnsafeDatabase(StartRefused):
    """The database could lose what it has confirmed, or gives the server too much power."""


class NotMigrated(StartRefused):
    """The schema is older or newer than this program."""


class UnknownRevision(StartRefused):
    """The schema cannot be brought to what was asked for."""
