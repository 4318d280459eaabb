"""Nodes of a cluster, and the sources that are pulled by one of them at a time."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "nodes",
        sa.Column("instance", sa.String(length=40), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("inner_url", sa.Text(), nullable=False),
        sa.Column("joined_at", sa.Double(), nullable=False),
        sa.Column("draining", sa.Boolean(), nullable=False),
        sa.Column("lost_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("instance"),
    )
    op.create_table(
        "sources",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("wanted_at", sa.Double(), nullable=False),
        sa.Column("holder", sa.String(length=40), nullable=True),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("renewed_at", sa.Double(), nullable=False),
        sa.Column("ended", sa.String(length=40), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
