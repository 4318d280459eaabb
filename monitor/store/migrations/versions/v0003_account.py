"""What a cluster accounts for: it outlives the director that counted it."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the account of each source, and the totals."""
    flowed: sa.Column[bool] = sa.Column(
        "flowed", sa.Boolean(), nullable=False, server_default=sa.false()
    )
    seconds: sa.Column[float] = sa.Column(
        "lost_seconds", sa.Double(), nullable=False, server_default="0"
    )
    op.add_column("sources", flowed)
    op.add_column("sources", seconds)
    op.add_column("sources", sa.Column("away_at", sa.Double(), nullable=True))
    op.create_table(
        "totals",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("total", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
