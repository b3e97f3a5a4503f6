"""Carry the metadata of accounts, and find a mailed code by its address."""

from migrations.script import run_beside

revision = "20261130_000165"
down_revision = "20261130_000155"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
