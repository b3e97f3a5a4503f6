"""Webhooks: where events are sent to, and how each delivery went."""

from migrations.script import run_beside

revision = "20261129_000026"
down_revision = "20261129_000025"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
