"""Owns what the log says of one target: what is new, once. Knows no session and no schedule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import structlog

from dbwatch.backoff import SLOW_REASONS
from dbwatch.catalogue import Check
from dbwatch.config import Target
from dbwatch.engines.base import CONNECT_PROBE
from dbwatch.model import Facts, Outcome, Reason, Status
from dbwatch.store import TargetState
from dbwatch.turns import News, Turns

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_MOST_TOLD: Final = 5


class Announcer:
    """Told of everything; says what differs from what it said last. Used by the lane's thread."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._said: dict[str, tuple[Status, Reason | None]] = {}
        self._excess: tuple[str, ...] = ()
        self._is_stretched = False
        self._turns = Turns()

    def verdict(self, check: Check, outcome: Outcome, *, is_down: bool) -> None:
        """A verdict that is another than the last one. While the target is down, "target down" speaks for all.

        A first verdict that all is well is no news, and neither is that a second reading has to come.
        """
        now = outcome.status, outcome.reason
        lost = is_down and (check.probe == CONNECT_PROBE or outcome.status is Status.UNKNOWN)
        if lost or outcome.reason is Reason.NO_BASELINE or self._said.get(check.name, (Status.OK, None)) == now:
            return
        self._said[check.name] = now
        log.info(
            "check changed",
            target=self._target.name,
            check=check.name,
            status=str(outcome.status),
            reason=str(outcome.reason) if outcome.reason else None,
            summary=outcome.summary,
        )

    def state(self, before: TargetState, state: TargetState) -> None:
        """The target went down or came back."""
        # A lost connection may turn out to be a password that was changed: somebody has to be told of that.
        worse = state.up is False and state.reason is not before.reason and state.reason in SLOW_REASONS
        if not worse and (state.up is None or state.up is before.up or (state.up and before.up is None)):
            return
        news = self._turns.turn()
        if news is News.TOO_MANY:
            log.warning(
                "target goes up and down", target=self._target.name, reason=str(state.reason), error=state.message
            )
        elif news is News.TOLD and not state.up:
            log.warning("target down", target=self._target.name, reason=str(state.reason), error=state.message)
        elif news is News.TOLD:
            log.info("target reached again", target=self._target.name)

    def pace(self, stretches: Mapping[str, float]) -> None:
        """How many times their own interval checks wait, for the budget's sake: that it begins, and that it is over."""
        if bool(stretches) is self._is_stretched:
            return
        self._is_stretched = bool(stretches)
        if not stretches:
            log.info("budget kept again", target=self._target.name)
            return
        log.warning(
            "budget exceeded, checks run less often",
            target=self._target.name,
            budget=self._target.budget,
            checks=dict(sorted(stretches.items(), key=lambda pair: -pair[1])[:_MOST_TOLD]),
            count=len(stretches),
        )

    def excess(self, facts: Facts) -> None:
        """The rights of our role that a monitor does not need."""
        if facts.excess == self._excess:
            return
        self._excess = facts.excess
        if self._excess:
            log.warning(
                "role may more than it needs",
                target=self._target.name,
                user=facts.user,
                excess=list(self._excess),
                hint=f"dbwatch doctor {self._target.name}",
            )
