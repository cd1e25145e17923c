"""A server as one meets it: several databases, hundreds of tables with any name, partitions, views, an extension."""

from __future__ import annotations

from tests.harness.postgres import Postgres
from tests.harness.sessions import identifier

SHOP = 'Läden "No. 1"'
PLAIN = "billing"
CLOSED = "payroll"
WEIRD_TABLES = (
    'Order "items"',
    "größe",
    "表",
    "select",
    "a.b",
    "100%",
    "{braces}",
    "back\\slash",
    "new\nline",
    "x" * 63,
)
TABLES = 250


def build(pg: Postgres) -> None:
    """Fill a fresh server. `CLOSED` is a database into which only its owner may."""
    for name in (SHOP, PLAIN, CLOSED):
        pg.create_database(name)
    pg.sql(f"REVOKE CONNECT ON DATABASE {CLOSED} FROM PUBLIC")
    pg.sql("CREATE EXTENSION pg_stat_statements")
    pg.sql(
        f"""
        CREATE SCHEMA "My Schema";
        DO $$ BEGIN FOR i IN 1..{TABLES} LOOP
          EXECUTE format('CREATE TABLE "My Schema".t%s (id int PRIMARY KEY, note text)', i);
          EXECUTE format('CREATE INDEX ON "My Schema".t%s (note)', i);
        END LOOP; END $$;
        CREATE TABLE events (at date NOT NULL, id int, body text) PARTITION BY RANGE (at);
        CREATE TABLE events_2026 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')
          PARTITION BY LIST (id);
        CREATE TABLE events_2026_1 PARTITION OF events_2026 FOR VALUES IN (1);
        CREATE TABLE events_rest PARTITION OF events DEFAULT;
        CREATE INDEX events_body ON events (body);
        CREATE TABLE "filled" AS SELECT g AS id, repeat('x', 100) AS note FROM generate_series(1, 50000) AS g;
        CREATE INDEX filled_note ON filled (note, id);
        DELETE FROM filled WHERE id % 3 = 0;
        CREATE TABLE empty ();
        CREATE UNLOGGED TABLE "unlogged" (id int PRIMARY KEY);
        CREATE VIEW v AS SELECT count(*) FROM filled;
        CREATE MATERIALIZED VIEW mv AS SELECT id FROM filled WHERE id < 100;
        CREATE SEQUENCE "Seq";
        """,
        dbname=SHOP,
    )
    weird = "".join(f"CREATE TABLE {identifier(name)} ({identifier(name)} int PRIMARY KEY);" for name in WEIRD_TABLES)
    pg.sql(weird, dbname=SHOP)
    pg.sql("VACUUM ANALYZE", dbname=SHOP)
    pg.sql("CREATE TABLE invoices (id int PRIMARY KEY); CREATE EXTENSION pg_stat_statements", dbname=PLAIN)
