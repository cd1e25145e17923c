"""Owns asking the questions of one check on one target, each under a time limit. Knows no format.

One answer that fails does not keep the others from being given.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from dbwatch.catalogue import Check
from dbwatch.config import Target
from dbwatch.deadline import Deadline
from dbwatch.diagnose.questions import Question, questions
from dbwatch.engines.base import Adapter, Answer, Session
from dbwatch.errors import CheckError
from dbwatch.runner.watchdog import Watchdog

MOST_ROWS: Final = 50
_MOST_LINES: Final = 2000
_SECONDS_A_QUESTION: Final = 15.0


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of a question: an answer, or why there is none; neither when it is for a person to ask."""

    question: Question
    answer: Answer | None = None
    error: CheckError | None = None


def diagnose(check: Check, target: Target, adapter: Adapter, watchdog: Watchdog) -> Iterator[Reply]:
    """Every question of the check's runbook with its reply. Raises TargetError when the target cannot be reached."""
    session = adapter.connect(target, Deadline.after(target.connect_timeout))
    try:
        for question in questions(check):
            yield _asked(question, session, watchdog) if question.sent is not None else Reply(question)
    finally:
        session.close()


def _asked(question: Question, session: Session, watchdog: Watchdog) -> Reply:
    deadline = Deadline.after(_SECONDS_A_QUESTION)
    assert question.sent is not None
    try:
        with watchdog.guarding(session, deadline):
            answer = session.look(question.sent, deadline, limit=MOST_ROWS if question.only is None else _MOST_LINES)
    except CheckError as error:
        return Reply(question, error=error)
    if (pattern := question.only) is not None:
        answer = replace(answer, rows=tuple(row for row in answer.rows if pattern.search(str(row[0]))))
    return Reply(question, answer)
