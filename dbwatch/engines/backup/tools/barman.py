"""Owns asking Barman about one server: which commands, in which order, and what an answer without JSON means.

`show-server` is not asked: it prints connection strings. `check` comes last: it opens connections to the server, and
what the others told is worth having when it does not answer. Ending with 1 is how Barman says that a check failed.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from dbwatch.config.backups import Barman
from dbwatch.deadline import Deadline
from dbwatch.engines.backup.record import Repository, Seen, SourceName
from dbwatch.engines.backup.tools.barman_catalogue import Told, newest_done, newest_failed, seen_of, unknown_server
from dbwatch.engines.backup.tools.document import Node, document
from dbwatch.engines.backup.tools.tool import Tool
from dbwatch.errors import CheckError


class BarmanSource:
    """One server in Barman's catalogue."""

    def __init__(self, config: Barman) -> None:
        self._config = config
        self._tool = Tool("barman", config.command, user="barman")

    @property
    def source(self) -> SourceName:
        return SourceName.BARMAN

    @property
    def name(self) -> str:
        return self._config.server

    def look(self, deadline: Deadline) -> Seen:
        as_of = time.time()
        command = self._tool.shown((*self._where, "check", self.name))
        listed = self._ask(("list-backup", self.name), deadline)
        if not listed[self.name].present:
            repository = Repository(problem=unknown_server(listed, self.name))
            return Seen(SourceName.BARMAN, self.name, as_of, repositories=(repository,), command=command)
        backups = listed[self.name]
        done, failed = newest_done(backups), newest_failed(backups)
        shown = self._ask(("show-backup", self.name, done), deadline)[self.name] if done else None
        why = self._ask(("show-backup", self.name, failed), deadline)[self.name] if failed else None
        answers: list[Node | None] = []
        silent = []
        for question in ("status", "check"):
            try:
                answers.append(self._ask((question, self.name), deadline)[self.name])
            except CheckError as error:
                answers.append(None)
                silent.append(f"barman {question} gave no answer: {error}")
        status, checks = answers
        return seen_of(Told(backups, shown, why, status, checks, tuple(silent)), self.name, as_of, command)

    def _ask(self, arguments: Sequence[str], deadline: Deadline) -> Node:
        ended = self._tool.ask((*self._where, "-f", "json", *arguments), deadline)
        if ended.code not in (0, 1) or not ended.output.strip():
            self._tool.refuse(ended)
        answer = document(ended.output, "barman")
        list(answer.members())
        return answer

    @property
    def _where(self) -> tuple[str, ...]:
        file = self._config.config_file
        return ("-c", str(file)) if file is not None else ()
