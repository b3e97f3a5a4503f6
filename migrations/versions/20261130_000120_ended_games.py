"""Keep that an operator ended a game, and the trace of what a game was quarantined for."""

from migrations.script import run_beside

revision = "20261130_000120"
down_revision = "20261130_000101"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
