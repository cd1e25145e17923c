"""What is watched while we measure: a PostgreSQL with tables, indexes and statements, a Redis with keys."""

from __future__ import annotations

from tests.harness.postgres import Postgres
from tests.harness.redis import RedisServer
from tests.postgres.scale import town

DATABASE = town.DATABASE
WATCHERS = ("dbwatch", "exporter")
"""A role each, of equal rights, so that the server itself tells apart who costs what."""
_MOST_EXPRESSIONS = 12
_BATCH = 1_000


def fill_postgres(pg: Postgres, tables: int, statements: int) -> None:
    """A fresh server with so many tables, three indexes each, and so many statements in pg_stat_statements."""
    town.build(pg, tables)
    for role in WATCHERS:
        pg.create_monitor_role(role, grants=("pg_monitor",))
    with pg.connect(dbname=DATABASE) as session:
        session.execute("create extension if not exists pg_stat_statements")
        found = session.execute(
            b"select format('%I.%I', schemaname, relname) from pg_stat_user_tables order by relid"
        ).fetchall()
        names = [name for (name,) in found]
        for number in range(statements):
            # The number of expressions and the table make a statement; its constants do not.
            shape, table = divmod(number, len(names))
            columns = ", ".join(["count(*)"] * (1 + shape % _MOST_EXPRESSIONS))
            session.execute(f"select {columns} from {names[table]}".encode())


def fill_redis(server: RedisServer, keys: int) -> None:
    """So many keys of a few kinds in two databases, one in ten with an end."""
    for database, share in ((0, 9), (1, 1)):
        with server.connect(db=database) as session:
            pipe = session.pipeline(transaction=False)
            for number in range(keys * share // 10):
                name = f"shop:{number % 97}:{number}"
                if number % 50 == 0:
                    pipe.hset(name, mapping={"a": number, "b": "x" * 40})
                else:
                    pipe.set(name, "v" * 32, ex=86_400 if number % 10 == 0 else None)
                if number % _BATCH == 0:
                    pipe.execute()
            pipe.execute()
