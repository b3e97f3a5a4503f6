"""The rule for names of blueprints, which the database holds every new one to."""

import asyncpg

from persistence.database import Database
from persistence.queries import load

SQL = load("blueprints/rules")


class BadPattern(Exception):
    """Why a pattern cannot be used; it reads on after the pattern's name."""


class BlueprintRuleStore:
    """The one row of rules."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put_name_pattern(self, pattern: str, *, example: str) -> None:
        """Make this the rule for new names; raise `BadPattern` if it does not accept an example."""
        async with self._database.transaction() as connection:
            try:
                fits = await connection.fetchval(SQL["name_fits"], example, pattern)
            except asyncpg.InvalidRegularExpressionError as error:
                raise BadPattern(f"is not a regular expression of PostgreSQL: {error}") from None
            if not fits:
                raise BadPattern(f"does not accept {example}")
            await connection.execute(SQL["put_name_pattern"], pattern)
