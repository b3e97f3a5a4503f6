"""Names that show something and mislead nobody, and few refresh tokens for each sign-in."""

from migrations.script import run_beside

revision = "20261128_000016"
down_revision = "20261121_000015"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
