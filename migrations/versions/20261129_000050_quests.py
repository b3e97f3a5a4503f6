"""Quests: their definitions, how far each slot is, claimed rewards, timed events and seasons."""

from migrations.script import run_beside

revision = "20261129_000050"
down_revision = "20261129_000040"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
