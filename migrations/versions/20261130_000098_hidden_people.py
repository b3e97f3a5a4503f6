"""Hide collaborators, and public stored objects, from blocked people and with their owner."""

from migrations.script import run_beside

revision = "20261130_000098"
down_revision = "20261130_000097"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
