"""Keep files that published creations show."""

from migrations.script import run_beside

revision = "20261130_000101"
down_revision = "20261130_000100"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
