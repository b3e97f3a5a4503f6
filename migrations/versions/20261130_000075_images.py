"""Images: processing of uploaded images, and files that follow their creations at once."""

from migrations.script import run_beside

revision = "20261130_000075"
down_revision = "20261130_000074"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
