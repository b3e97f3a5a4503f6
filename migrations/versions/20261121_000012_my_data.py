"""What people choose for themselves, experience, and what exports and erases a person."""

from migrations.script import run_beside

revision = "20261121_000012"
down_revision = "20261121_000011"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
