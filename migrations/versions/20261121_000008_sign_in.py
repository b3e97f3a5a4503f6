"""Email, Discord, roles and bans."""

from migrations.script import run_beside

revision = "20261121_000008"
down_revision = "20261121_000007"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
