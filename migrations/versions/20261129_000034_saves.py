"""Saves: slots, every revision of each, conflicts, the schemas of titles, what devices are told."""

from migrations.script import run_beside

revision = "20261129_000034"
down_revision = "20261129_000033"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
