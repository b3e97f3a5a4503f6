"""Files of creations follow their creations; remixes keep to their originals when they change."""

from migrations.script import run_beside

revision = "20261129_000071"
down_revision = "20261129_000070"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
