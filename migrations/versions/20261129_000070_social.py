"""Social platform: companions, creations, the graph around them, and notifications."""

from migrations.script import run_beside

revision = "20261129_000070"
down_revision = "20261129_000063"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
