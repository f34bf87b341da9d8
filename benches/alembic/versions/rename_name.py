"""Gives the column another name in batch mode, which moves the rows to a new table."""

from alembic import op

revision = "1"
down_revision = None


def upgrade():
    with op.batch_alter_table("users") as users:
        users.alter_column("name", new_column_name="full_name")
