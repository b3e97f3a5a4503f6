"""Lobbies whose games run between peers, and their results."""

from migrations.script import run_beside

revision = "20261121_000009"
down_revision = "20261121_000008"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
