"""Content: packages with their deltas, and the signed metadata that vouches for them."""

from migrations.script import run_beside

revision = "20261129_000035"
down_revision = "20261129_000034"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
