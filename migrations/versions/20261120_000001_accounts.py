"""Roles, accounts, our own sign-in tables, profiles."""

from migrations.script import run_beside

revision = "20261120_000001"
down_revision = None


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
