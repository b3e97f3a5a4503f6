"""Votes on bots that exist, scores of any profile, imports as quick at their end as at first."""

from migrations.script import run_beside

revision = "20261121_000015"
down_revision = "20261121_000014"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
