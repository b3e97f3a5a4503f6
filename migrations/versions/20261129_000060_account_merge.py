"""Accounts: OpenID providers, platform links, and the merge of two accounts."""

from migrations.script import run_beside

revision = "20261129_000060"
down_revision = "20261129_000051"


def upgrade() -> None:
    run_beside(__file__, "up")


def downgrade() -> None:
    run_beside(__file__, "down")
