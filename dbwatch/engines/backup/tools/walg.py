"""Owns asking WAL-G about one storage: `backup-list`, and `wal-show` for the archived log. `walg_list` reads it.

Ages come from `backup-list` alone: `wal-show` has shown backups hours late.
"""

from __future__ import annotations

import time

from dbwatch.config.backups import Walg
from dbwatch.deadline import Deadline
from dbwatch.engines.backup.record import Seen, SourceName, Trouble
from dbwatch.engines.backup.tools.document import Node, document
from dbwatch.engines.backup.tools.tool import Tool, read_recorded
from dbwatch.engines.backup.tools.walg_list import seen_of
from dbwatch.errors import CheckError

_LIST = ("backup-list", "--detail", "--json")
_LOG = ("wal-show", "--detailed-json", "--without-backups")
_PREFIXES = ("WALG_", "WALE_", "AWS_", "GOOGLE_", "AZURE_", "SWIFT_", "OS_")
_NONE = "No backups found"


class WalgSource:
    """One storage of WAL-G's."""

    def __init__(self, config: Walg) -> None:
        self._config = config
        self._tool = Tool("wal-g", config.command, _PREFIXES, config.env_file)

    @property
    def source(self) -> SourceName:
        return SourceName.WALG

    @property
    def name(self) -> str:
        return self._config.name

    def look(self, deadline: Deadline) -> Seen:
        command = self._tool.shown((*self._where, *_LIST))
        if self._config.recorded is not None:
            content, as_of = read_recorded(self._config.recorded, deadline)
            return seen_of(_listed(content), None, self.name, as_of, command)
        as_of = time.time()
        ended = self._tool.ask((*self._where, *_LIST), deadline)
        none = _NONE in ended.complaint
        if ended.code != 0 and not none:
            self._tool.refuse(ended)
        listed = _listed(b"[]" if none or not ended.output.strip() else ended.output)
        log, silence = self._log(deadline)
        return seen_of(listed, log, self.name, as_of, command, silence)

    def _log(self, deadline: Deadline) -> tuple[Node | None, Trouble | None]:
        try:
            ended = self._tool.ask((*self._where, *_LOG), deadline)
            if ended.code != 0:
                self._tool.refuse(ended)
            return document(ended.output, "wal-g"), None
        except CheckError as error:
            return None, Trouble(f"wal-g wal-show gave no answer: {error}", failed=False)

    @property
    def _where(self) -> tuple[str, ...]:
        file = self._config.config_file
        return ("--config", str(file)) if file is not None else ()


def _listed(content: bytes) -> Node:
    return document(content, "wal-g")
