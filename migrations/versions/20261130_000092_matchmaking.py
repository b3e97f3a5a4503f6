"""Matchmaking: who waits for a match, and the matches that were found."""

from migrations.script import run_beside

revision = "20261130_000092"
down_revision = "20261130_000091"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
