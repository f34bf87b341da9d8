"""Connects to the file that the command line names, as the template that Alembic brings along does."""

from alembic import context
from sqlalchemy import create_engine

file = context.get_x_argument(as_dictionary=True)["file"]

with create_engine(f"sqlite:///{file}").connect() as connection:
    context.configure(connection=connection, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()
