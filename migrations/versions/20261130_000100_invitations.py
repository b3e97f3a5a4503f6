"""Tell people that they are invited to a creation."""

from migrations.script import run_beside

revision = "20261130_000100"
down_revision = "20261130_000099"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
