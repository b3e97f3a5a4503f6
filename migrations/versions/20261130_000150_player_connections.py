"""Note which node a player is connected to."""

from migrations.script import run_beside

revision = "20261130_000150"
down_revision = "20261130_000140"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
