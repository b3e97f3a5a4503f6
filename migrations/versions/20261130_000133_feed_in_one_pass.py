"""Read a page of a feed in one pass."""

from migrations.script import run_beside

revision = "20261130_000133"
down_revision = "20261130_000132"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
