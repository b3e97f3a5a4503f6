"""Telemetry: events in partitions by day, their schemas, and what people consent to."""

from migrations.script import run_beside

revision = "20261129_000028"
down_revision = "20261129_000027"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
