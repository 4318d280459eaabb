"""What is kept: the tables, the same for SQLite and PostgreSQL.

Times are seconds since 1970 (`_at`) by the wall clock, or of the service's running time
(`_tick`). Rows name calls and alerts without foreign keys: an alert may be committed before the
batch that holds its call, and retention deletes by its own order.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)

metadata = MetaData()

# SQLite counts up by itself only in a column that is declared INTEGER.
_NUMBER = BigInteger().with_variant(Integer(), "sqlite")

calls = Table(
    "calls",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("instance", String(40), nullable=False),
    Column("label", Text, nullable=False),
    Column("ingest", String(40), nullable=False),
    Column("started_at", Double, nullable=False),
    Column("seen_at", Double, nullable=False),
    Column("ended_at", Double),
    Column("ended", String(40)),
    Index("calls_by_start", "started_at"),
    Index("calls_by_end", "ended_at"),
)

participants = Table(
    "participants",
    metadata,
    Column("call", String(64), primary_key=True),
    Column("name", String(400), primary_key=True),
    Column("verdict", JSON),
    Column("allowed", JSON),
)

timelines = Table(
    "timelines",
    metadata,
    Column("number", _NUMBER, primary_key=True, autoincrement=True),
    Column("call", String(64), nullable=False),
    Column("participant", String(400), nullable=False),
    Column("points", JSON, nullable=False),
    Column("written_at", Double, nullable=False),
    Index("timelines_by_call", "call", "number"),
    Index("timelines_by_time", "written_at"),
)

alerts = Table(
    "alerts",
    metadata,
    Column("id", String(24), primary_key=True),
    Column("call", String(64), nullable=False),
    Column("participant", String(400), nullable=False),
    Column("type", String(20), nullable=False),
    Column("tier", String(20), nullable=False),
    Column("raised_at", Double, nullable=False),
    Index("alerts_by_call", "call"),
)

messages = Table(
    "messages",
    metadata,
    Column("number", _NUMBER, primary_key=True, autoincrement=True),
    Column("key", Text, nullable=False, unique=True),
    Column("alert", String(24), nullable=False),
    Column("call", String(64), nullable=False),
    Column("record", JSON, nullable=False),
    Index("messages_by_call", "call", "number"),
    Index("messages_by_alert", "alert"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("number", _NUMBER, primary_key=True, autoincrement=True),
    Column("instance", String(40), nullable=False),
    Column("destination", String(40), nullable=False),
    Column("message", _NUMBER, nullable=False),
    Column("call", String(64), nullable=False),
    Column("state", String(20), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("accepted_tick", Double, nullable=False),
    Column("due_tick", Double, nullable=False),
    Column("changed_at", Double, nullable=False),
    Column("error", String(200)),
    UniqueConstraint("destination", "message", name="deliveries_once"),
    Index("deliveries_waiting", "instance", "destination", "state", "number"),
    Index("deliveries_of_call", "call", "destination", "state", "number"),
    Index("deliveries_by_change", "changed_at"),
)

uptime = Table(
    "uptime",
    metadata,
    Column("instance", String(40), primary_key=True),
    Column("seconds", Double, nullable=False),
)

reviews = Table(
    "reviews",
    metadata,
    Column("number", _NUMBER, primary_key=True, autoincrement=True),
    Column("alert", String(24), nullable=False),
    Column("call", String(64), nullable=False),
    Column("outcome", String(20), nullable=False),
    Column("reason", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("at", Double, nullable=False),
    Index("reviews_by_alert", "alert", "number"),
)

holds = Table(
    "holds",
    metadata,
    Column("kind", String(10), primary_key=True),
    Column("subject", String(64), primary_key=True),
    Column("call", String(64), nullable=False),
    Column("reason", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("at", Double, nullable=False),
    Index("holds_by_call", "call"),
)

audit = Table(
    "audit",
    metadata,
    Column("number", _NUMBER, primary_key=True, autoincrement=True),
    Column("at", Double, nullable=False),
    Column("by", Text, nullable=False),
    Column("action", String(40), nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", JSON, nullable=False),
    Index("audit_by_time", "at"),
)

nodes = Table(
    "nodes",
    metadata,
    Column("instance", String(40), primary_key=True),
    Column("url", Text, nullable=False),
    Column("inner_url", Text, nullable=False),
    Column("joined_at", Double, nullable=False),
    Column("draining", Boolean, nullable=False),
    Column("lost_at", Double),
)

sources = Table(
    "sources",
    metadata,
    Column("id", String(24), primary_key=True),
    Column("sealed", Text, nullable=False),
    Column("wanted_at", Double, nullable=False),
    Column("holder", String(40)),
    Column("epoch", BigInteger, nullable=False),
    Column("renewed_at", Double, nullable=False),
    Column("ended", String(40)),
    Column("flowed", Boolean, nullable=False, server_default=false()),
    Column("lost_seconds", Double, nullable=False, server_default="0"),
    Column("away_at", Double),
)

totals = Table(
    "totals",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("total", Double, nullable=False),
)
