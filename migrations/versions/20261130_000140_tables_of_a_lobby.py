"""Let a lobby have several tables, each with a game of its own."""

from migrations.script import run_beside

revision = "20261130_000140"
down_revision = "20261130_000133"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
