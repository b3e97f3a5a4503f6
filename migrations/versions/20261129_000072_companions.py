"""Answers that are written piece by piece, subjects of memories, and what companions are used."""

from migrations.script import run_beside

revision = "20261129_000072"
down_revision = "20261129_000071"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
