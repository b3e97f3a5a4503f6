"""Bounds on what people may write into their own rows without asking the server."""

from migrations.script import run_beside

revision = "20261121_000015"
down_revision = "20261121_000014"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
