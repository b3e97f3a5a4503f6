"""Social platform at a million creations: feed, search and inbox pages that stay fast."""

from migrations.script import run_beside

revision = "20261130_000077"
down_revision = "20261130_000076"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
