"""Every statement of every runbook runs: the questions as dbwatch asks them, the rest at least as the server parses it,
on every major.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import psycopg

from dbwatch.catalogue import Check
from dbwatch.config.loader import target_from_url
from dbwatch.diagnose.ask import Reply, diagnose
from dbwatch.diagnose.questions import questions
from dbwatch.engines import Engines
from dbwatch.model import Engine, Reason, Role
from dbwatch.runner.watchdog import Watchdog
from tests.harness.postgres import Postgres
from tests.render.bundled_files import catalogue

CHECKS = [check for check in catalogue() if check.engine is Engine.POSTGRES]
STATEMENT = re.compile(
    r"(?:alter|analyze|begin|call|cluster|create|delete|drop|explain|grant|insert|reindex|reset|revoke|select|set|show"
    r"|truncate|update|vacuum|with)\b.*;",
    re.IGNORECASE | re.DOTALL,
)
NAMES = {
    "query": "select 1",
    "schema": "public",
    "relation": "t",
    "table": "t",
    "parent": "t",
    "key": "c.id = p.id",
    "one row": "id = 1",
}


def statements(check: Check) -> Iterator[str]:
    """What looks like a statement in any part of the runbook: indented, or between backquotes with its semicolon."""
    for question in questions(check):
        yield from [question.text] if STATEMENT.fullmatch(_bare(question.text)) else []
    book = check.runbook
    for text in filter(None, (book.meaning, book.impact, book.mitigation, book.threshold, book.normal, book.silence)):
        for quoted in re.findall(r"`([^`]+)`", text):
            if STATEMENT.fullmatch(quoted):
                yield quoted
        for line in text.splitlines():
            if line.startswith("    ") and STATEMENT.fullmatch(_bare(line.strip())):
                yield line.strip()


def _bare(text: str) -> str:
    return re.sub(r"\s--\s.*$", "", text, flags=re.MULTILINE).rstrip()


def asked(pg: Postgres, url: str, role: Role) -> list[Reply]:
    """What comes of every question that fits a server of this major and role; placeholders are a person's."""
    watchdog = Watchdog()
    adapter = Engines().adapter(Engine.POSTGRES)
    target = target_from_url(url)
    try:
        return [
            reply
            for check in CHECKS
            if _fits(check, pg, role)
            for reply in diagnose(check, target, adapter, watchdog)
            if reply.question.sent is not None and _is_known(reply.question.text, pg)
        ]
    finally:
        watchdog.close()


def _fits(check: Check, pg: Postgres, role: Role) -> bool:
    version = check.requires.version
    new_enough = version is None or version[0] != ">=" or (pg.major,) >= version[1]
    return new_enough and (check.requires.role or Role.PRIMARY) is role


def _is_known(text: str, pg: Postgres) -> bool:
    since = re.search(r"-- (\d+) and newer", text)
    return since is None or pg.major >= int(since[1])


def errors(replies: list[Reply]) -> list[str]:
    return [f"{reply.question.text}: {reply.error}" for reply in replies if reply.error is not None]


def test_the_questions_are_answered(pg: Postgres) -> None:
    """A superuser gets every answer; the monitor gets it, or is told which right it takes."""
    monitor = pg.create_monitor_role(grants=("pg_monitor", "pg_read_all_data"))
    pg.sql("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    replies = asked(pg, pg.url("postgres"), Role.PRIMARY)
    assert not errors(replies), "\n".join(errors(replies))
    assert len(replies) > 80
    refused = [reply for reply in asked(pg, monitor, Role.PRIMARY) if reply.error is not None]
    assert {reply.error.reason for reply in refused if reply.error} <= {Reason.PRIVILEGE}
    assert len(refused) < 8


def test_the_questions_about_a_standby_are_answered(newest_pg: Postgres) -> None:
    with newest_pg.standby() as standby:
        replies = asked(standby, standby.url("postgres"), Role.STANDBY)
    assert not errors(replies), "\n".join(errors(replies))
    assert replies


def test_the_statements_can_be_parsed(pg: Postgres) -> None:
    failed = []
    count = 0
    with pg.connect() as session:
        for check in CHECKS:
            for statement in statements(check):
                count += 1
                filled = re.sub(r"<([a-z_ ]+)>", lambda found: NAMES.get(found[1], "x"), _bare(statement))
                body = "".join(f"{one.strip()};\n" for one in filled.split(";") if not _is_frame(one))
                body = body.replace("…", "1")
                try:
                    session.execute(f"do $runbook$ begin if false then\n{body}end if; end $runbook$".encode())
                except psycopg.Error as error:
                    failed.append(f"{check.name}: {statement}: {error}")
    assert not failed, "\n".join(failed)
    assert count > 120


def _is_frame(statement: str) -> bool:
    """Transactions cannot be begun inside a block, and nothing is nothing."""
    return statement.strip().lower() in ("", "begin", "commit", "rollback")
