"""Bots, their owners and avatars; epochs: profiles, slots, events, votes, settlement."""

from migrations.script import run_beside

revision = "20261121_000013"
down_revision = "20261121_000012"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
