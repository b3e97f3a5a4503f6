"""Leaderboards of the statistics that rulesets declare."""

from migrations.script import run_beside

revision = "20261130_000090"
down_revision = "20261130_000083"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
