"""Progression: what devices know of quests, and what is checked, rewarded and closed."""

from migrations.script import run_beside

revision = "20261129_000062"
down_revision = "20261129_000061"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
