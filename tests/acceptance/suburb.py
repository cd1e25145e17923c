"""Schemas of hundreds of tables as applications make them, with a little data, in which nothing is wrong."""

from __future__ import annotations

from tests.harness.postgres import Postgres
from tests.harness.sessions import identifier

DATABASE = 'Vorstadt "süd"'
SCHEMAS = ("public", "select", 'Müller & "Söhne"', "a.b")
TABLES = 300

_SCHEMA = """
SET search_path = {schema};
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE TABLE "Kunde" (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL,
  "E-Mail" text UNIQUE,
  mood mood DEFAULT 'good',
  made timestamptz NOT NULL DEFAULT now()
);
INSERT INTO "Kunde" (name, "E-Mail") SELECT 'n' || g, 'm' || g || '@x' FROM generate_series(1, 200) AS g;
CREATE TABLE orders (
  id bigint PRIMARY KEY,
  kunde bigint NOT NULL REFERENCES "Kunde",
  at date NOT NULL,
  note text,
  extra jsonb
);
INSERT INTO orders SELECT g, 1 + g % 200, date '2026-01-01' + g % 300, repeat('x', g % 90), '{{"a": 1}}'
FROM generate_series(1, 2000) AS g;
CREATE INDEX orders_kunde ON orders (kunde);
CREATE INDEX orders_extra ON orders USING gin (extra);
CREATE INDEX orders_open ON orders (at) WHERE note IS NULL;
CREATE INDEX orders_lower ON orders (lower(note));
CREATE TABLE events (at timestamptz NOT NULL, kunde bigint REFERENCES "Kunde", what text) PARTITION BY RANGE (at);
CREATE INDEX events_kunde ON events (kunde);
CREATE INDEX events_at ON events USING brin (at);
CREATE VIEW late AS SELECT * FROM orders WHERE at < now() - interval '90 days';
CREATE MATERIALIZED VIEW busy AS SELECT kunde, count(*) AS orders FROM orders GROUP BY kunde;
CREATE UNIQUE INDEX busy_kunde ON busy (kunde);
CREATE SEQUENCE "Rechnung Nr." AS bigint;
CREATE FUNCTION twice(x int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 2 * x';
"""
_PARTITIONS = """
DO $do$ BEGIN
  FOR month IN 1..12 LOOP
    EXECUTE format('CREATE TABLE {schema}.%I PARTITION OF {schema}.events FOR VALUES FROM (%L) TO (%L)',
      'events 2026/' || month, make_date(2026, month, 1), make_date(2026, month, 1) + interval '1 month');
  END LOOP;
END $do$;
INSERT INTO {schema}.events SELECT timestamptz '2026-01-02' + g * interval '3 hours', 1 + g % 200, 'seen'
FROM generate_series(1, 1500) AS g;
"""
_TABLES = """
DO $do$ DECLARE name text; BEGIN
  FOR i IN 1..{count} LOOP
    name := format('{schema}.%I', 'T "' || i || '" ü');
    EXECUTE format('CREATE TABLE %s (id bigint PRIMARY KEY, kunde bigint REFERENCES {schema}."Kunde", v text)', name);
    EXECUTE format('CREATE INDEX ON %s (kunde)', name);
    IF i % 3 > 0 THEN
      EXECUTE format('INSERT INTO %s SELECT g, 1 + g, ''v'' || g FROM generate_series(1, %s) AS g', name, i % 40);
    END IF;
  END LOOP;
END $do$
"""


def build(pg: Postgres) -> None:
    """Fill a fresh server; nothing is analyzed but what autovacuum gets to."""
    pg.create_database(DATABASE)
    for name in SCHEMAS:
        schema = identifier(name)
        if name != "public":
            pg.sql(f"CREATE SCHEMA {schema}", dbname=DATABASE)
        pg.sql(_SCHEMA.format(schema=schema), dbname=DATABASE)
        pg.sql(_PARTITIONS.format(schema=schema), dbname=DATABASE)
        pg.sql(_TABLES.format(schema=schema, count=TABLES // len(SCHEMAS)), dbname=DATABASE)
