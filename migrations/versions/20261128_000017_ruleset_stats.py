"""Statistics for each ruleset; matches that count for nothing, and players who forfeited."""

from migrations.script import run_beside

revision = "20261128_000017"
down_revision = "20261128_000016"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
