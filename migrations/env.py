"""Alembic's entry: runs the chosen steps on the connection that `runner` opened."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table_schema="public",
)
context.run_migrations()
