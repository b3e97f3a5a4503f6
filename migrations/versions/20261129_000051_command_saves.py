"""Saves that are the log of a ruleset: how each began, and its events."""

from migrations.script import run_beside

revision = "20261129_000051"
down_revision = "20261129_000050"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
