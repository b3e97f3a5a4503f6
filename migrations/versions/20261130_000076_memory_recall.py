"""Recall of memories by meaning, with pgvector where it is available."""

from migrations.script import run_beside

revision = "20261130_000076"
down_revision = "20261130_000075"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
