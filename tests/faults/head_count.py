"""Owns counting the sessions that dbwatch has on a server, beside a test."""

from __future__ import annotations

import psycopg

from tests.harness.beside import Beside
from tests.harness.postgres import Postgres


class HeadCount(Beside):
    """The most sessions of ours at any look, from a session of its own that outlives restarts."""

    def __init__(self, server: Postgres) -> None:
        super().__init__("head count")
        self.most = self.looks = 0
        self._server = server

    def work(self) -> None:
        while not self.ending.is_set():
            try:
                with self._server.connect(connect_timeout=2, options="-c statement_timeout=5s") as session:
                    self._look(session)
            except psycopg.Error:
                self.ending.wait(0.1)

    def _look(self, session: psycopg.Connection[tuple[object, ...]]) -> None:
        before: set[object] = set()
        while not self.ending.wait(0.1):
            rows = session.execute("SELECT pid FROM pg_stat_activity WHERE usename = 'dbwatch'").fetchall()
            pids = {pid for (pid,) in rows}
            # A backend whose client has left needs a moment to notice: counted is who is there at two looks.
            self.most, self.looks = max(self.most, len(pids & before)), self.looks + 1
            before = pids
