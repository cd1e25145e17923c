"""Owns asking pgBackRest about one stanza: its `info`, run or recorded. What that means is `pgbackrest_info`'s."""

from __future__ import annotations

import time

from dbwatch.config.backups import Pgbackrest
from dbwatch.deadline import Deadline
from dbwatch.engines.backup.record import Seen, SourceName
from dbwatch.engines.backup.tools.document import document
from dbwatch.engines.backup.tools.pgbackrest_info import seen_of
from dbwatch.engines.backup.tools.tool import Tool, read_recorded

_QUIET = ("--log-level-console=off", "--log-level-stderr=warn", "--log-level-file=off")
"""Its log is told on stderr alone, so that nothing but JSON is on stdout."""


class PgbackrestSource:
    """One stanza in all its repositories."""

    def __init__(self, config: Pgbackrest) -> None:
        self._config = config
        self._tool = Tool("pgbackrest", config.command, prefixes=("PGBACKREST_",))

    @property
    def source(self) -> SourceName:
        return SourceName.PGBACKREST

    @property
    def name(self) -> str:
        return self._config.stanza

    def look(self, deadline: Deadline) -> Seen:
        command = self._tool.shown((*self._where, "info"))
        if self._config.recorded is not None:
            content, as_of = read_recorded(self._config.recorded, deadline)
        else:
            arguments = (*self._where, *_QUIET, "--output=json", "info")
            as_of = time.time()
            ended = self._tool.ask(arguments, deadline)
            if ended.code != 0:
                self._tool.refuse(ended)
            content = ended.output
        return seen_of(document(content, "pgbackrest"), self.name, as_of, command)

    @property
    def _where(self) -> tuple[str, ...]:
        file = self._config.config_file
        return (f"--stanza={self.name}", *((f"--config={file}",) if file is not None else ()))
