"""Owns breaking a relation's file for real: bytes written over a page while the server is stopped."""

from __future__ import annotations

from collections.abc import Sequence

from tests.checks.cases import Damage
from tests.harness.postgres import Postgres

_PAGE = 8192


def inflict(server: Postgres, database: str, damages: Sequence[Damage]) -> None:
    """Write each damage; the server comes back with nothing of the relations in its cache."""
    question = "select pg_relation_filepath(%s::regclass)"
    paths = [server.sql(question, [damage.relation], dbname=database)[0][0] for damage in damages]
    server.stop()
    for path, damage in zip(paths, damages, strict=True):
        with (server.data / path).open("r+b") as file:
            file.seek(damage.page * _PAGE + damage.offset)
            file.write(bytes.fromhex(damage.bytes))
    server.start()
