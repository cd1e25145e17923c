"""Owns the demo's planted faults: what is made wrong on purpose, and which check must find it.

The faults are small, so the demo's thresholds are lowered in `CONFIG`; the checks are the bundled ones.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Self

import psycopg
import redis

POSTGRES_SETTINGS: Final = {
    "shared_preload_libraries": "pg_stat_statements",
    "shared_buffers": "16MB",
    "max_connections": "24",
    "superuser_reserved_connections": "3",
    "reserved_connections": "0",
    "autovacuum_naptime": "1min",
    "track_io_timing": "on",
    "archive_mode": "on",
    "archive_command": "false",
    "archive_timeout": "1s",
    "log_min_messages": "error",
}
REDIS_SETTINGS: Final = {"maxmemory": "8mb", "maxmemory-policy": "noeviction", "save": "3600 1", "loglevel": "warning"}

CONFIG: Final = """\
targets:
  - name: shop
    engine: postgres
    host: {host}
    dbname: shop
    user: dbwatch
    thresholds:
      table_bloat: {{warning: "bloat_ratio > 30% and bloat_bytes > 4MiB"}}
      index_bloat: {{warning: "bloat_ratio > 30% and bloat_bytes > 1MiB"}}
      unused_index: {{warning: "index_bytes > 1MiB"}}
      idle_in_transaction: {{warning: "oldest_seconds > 1s"}}
      long_transaction: {{warning: "age_seconds > 1s"}}
      blocked_session: {{warning: "longest_wait_seconds > 1s"}}
      slow_statement: {{warning: "mean_seconds > 200ms"}}
      cache_hit_ratio: {{warning: "hit_ratio < 90% and reads_rate > 100"}}
      archiver_failing: {{critical: "waiting_seconds > 1h"}}
  - name: cache
    engine: redis
    url: "unix://{socket}"
    thresholds:
      redis_hit_ratio: {{warning: "lookups >= 1000 and hit_ratio < 50%"}}
"""

# Check by target; every one must be a finding of the demo's report.
PLANTED: Final = {
    "shop": (
        "connections_saturated",
        "idle_in_transaction",
        "long_transaction",
        "blocked_session",
        "unused_index",
        "table_bloat",
        "index_bloat",
        "slow_statement",
        "cache_hit_ratio",
        "archiver_failing",
    ),
    "cache": ("redis_memory_pressure", "redis_hit_ratio", "redis_persistence_failing"),
}

_SCHEMA = """
create extension pg_stat_statements;
create role dbwatch login;
grant pg_monitor, pg_read_all_data to dbwatch;
create role app login;
create table orders (id bigint generated always as identity primary key, customer_id int not null,
  note text not null, created_at timestamptz not null default now()) with (autovacuum_enabled = off);
insert into orders (customer_id, note)
  select i % 5000, 'order ' || i || repeat(' x', 40) from generate_series(1, 150000) as i;
create index orders_customer_idx on orders (customer_id);
create index orders_note_idx on orders (note);
create index orders_created_idx on orders (created_at, id);
delete from orders where id % 5 <> 0;
"""
# With ours and a visitor's they are 18 to 19 of 21: a warning, and not one session more makes it critical.
_IDLE_SESSIONS = 11
_PAUSE_SECONDS = 0.1
# Without the flush the changes are counted ten seconds later, and the fresh statistics look stale.
_SETTLE = ("select pg_stat_force_next_flush()", "vacuum orders", "analyze")
_GRANT = "grant select, update on orders to app"
_SLOW = "select pg_sleep(0.3), count(*) from orders where customer_id = 42"
_SCAN = "select sum(length(note)) from orders"
_USED = "select count(*) from orders where customer_id = 42"


class Faults:
    """A context: the faults hold inside it. Connects as an ordinary application would."""

    def __init__(self, host: str, socket: str) -> None:
        self._host = host
        self._socket = socket
        self._stack = contextlib.ExitStack()
        self._ending = threading.Event()

    def __enter__(self) -> Self:
        with self._stack:
            self._plant_postgres()
            self._plant_redis()
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._stack.close()

    def _connect(self, user: str, database: str = "shop") -> psycopg.Connection[tuple[object, ...]]:
        connection = psycopg.connect(
            host=self._host, user=user, dbname=database, application_name=f"demo-{user}", autocommit=True
        )
        self._stack.callback(connection.close)
        return connection

    def _plant_postgres(self) -> None:
        self._connect("postgres", "postgres").execute("create database shop")
        admin = self._connect("postgres")
        admin.execute(_SCHEMA)
        for statement in (*_SETTLE, _GRANT, _USED):
            admin.execute(statement.encode())
        idle = self._connect("app")
        idle.execute("begin")
        idle.execute("update orders set note = note where id = 5")
        waiter = self._connect("app")
        self._repeat("waiter", lambda: waiter.execute("update orders set note = 'late' where id = 5"))
        for _ in range(_IDLE_SESSIONS):
            self._connect("app")
        for name, statement in (("slow", _SLOW), ("scan", _SCAN)):
            worker = self._connect("app")
            self._repeat(name, functools.partial(self._pause_after, worker, statement))

    def _pause_after(self, worker: psycopg.Connection[tuple[object, ...]], statement: str) -> None:
        worker.execute(statement.encode())
        self._ending.wait(_PAUSE_SECONDS)

    def _plant_redis(self) -> None:
        cache = redis.Redis(unix_socket_path=self._socket)
        self._stack.callback(cache.close)
        with contextlib.suppress(redis.exceptions.OutOfMemoryError):
            for number in range(100_000):
                cache.set(f"session:{number}", "x" * 1000)
        directory = Path(self._socket).parent / "redis"
        directory.rmdir()
        with contextlib.suppress(redis.exceptions.ResponseError):
            cache.bgsave()
        numbers: Iterator[int] = iter(range(10**9))

        def lookups() -> None:
            pipe = cache.pipeline(transaction=False)
            for _ in range(200):
                number = next(numbers)
                pipe.get(f"session:{number % 100}" if number % 4 == 0 else f"gone:{number}")
            pipe.execute()
            self._ending.wait(0.02)

        worker = self._repeat("lookups", lookups)
        # Ends before its client is closed: redis-py's reader does not expect its socket to go from under it.
        self._stack.callback(worker.join)

    def _repeat(self, name: str, action: Callable[[], object]) -> threading.Thread:
        def loop() -> None:
            while not self._ending.is_set():
                try:
                    action()
                except (psycopg.Error, redis.exceptions.RedisError):
                    # The demo is ending, or a visitor has just applied the fix the report offers.
                    return

        thread = threading.Thread(target=loop, name=f"demo-{name}", daemon=True)
        thread.start()
        return thread
