"""Tournaments: entrants, pairings, standings that follow from them."""

from migrations.script import run_beside

revision = "20261130_000096"
down_revision = "20261130_000095"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
