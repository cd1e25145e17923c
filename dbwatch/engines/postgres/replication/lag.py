"""Owns how old a standby's data are, from when its primary wrote past what it has replayed. Pure; one clock.

Nobody can read that moment, but it lies in a window: after the last commit replayed and after every look at which the
primary had not yet written more, and before the first at which it had. Its start is what is told, since a lag that is
too small does harm. Where nothing speaks for more log than was replayed, there is no lag, however idle the primary.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dbwatch.engines.postgres.cluster import Window

FRESH_SECONDS = 30.0
"""A primary that was looked at so long ago has written nothing since, as far as one can ask of a monitor."""
PROVEN_SECONDS = 0.5
"""A standby that streams and has replayed all is no further back than that, unless more than that is proven."""


class Method(StrEnum):
    """What the lag was read off: the primary's log positions, or the standby's own view alone."""

    LSN_CLOCK = "lsn_clock"
    TIMESTAMP = "timestamp"


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a standby. All moments are on our monotonic clock.

    `received` tells when more than what is replayed arrived here, `clock` when the primary wrote it; `clock_read` is
    the last look at the primary. `cut_off` says that the upstream is a standby that is itself cut off.
    """

    at: float
    connected: bool
    caught_up: bool
    streams: bool
    last_commit: float | None = None
    last_message: float | None = None
    received: Window | None = None
    clock: Window | None = None
    clock_read: float | None = None
    cut_off: bool = False
    cut_off_since: float | None = None
    delay_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Lag:
    """`seconds` is None when nothing is known; `at_least` says that the truth may be more."""

    seconds: float | None
    method: Method
    at_least: bool = False


def lag_of(look: Look) -> Lag:
    """How long the standby has been missing something, less the delay it is set to."""
    is_fresh = look.clock_read is not None and look.at - look.clock_read <= FRESH_SECONDS
    clock = look.clock
    in_step = look.connected and look.caught_up
    if clock is not None and not is_fresh and (clock.by is None or in_step):
        clock = None  # a primary that is no longer seen says nothing of now
    method = Method.LSN_CLOCK if clock is not None else Method.TIMESTAMP
    received = _received(look)
    looked = _latest(received.after, clock.after if clock is not None else None)
    after = _latest(look.last_commit, looked)
    if look.delay_seconds > 0 and looked is None and (received.by is not None or clock is not None):
        # After a quiet hour the next commit is due an hour later than the age of the last one says.
        after = None
    by = _earliest(received.by, clock.by if clock is not None else None)
    if in_step:
        return _in_step(look, clock, after, method)
    if clock is None and not look.connected and not look.streams:
        return Lag(None, method)  # an archive says nothing about what has not arrived in it
    if by is None and clock is not None:
        return Lag(0.0, method)
    if by is None:
        after = _latest(after, look.clock.after if look.clock is not None else None)
        return Lag(_since(look, after), method)
    return _behind(look, after, by, method)


def _in_step(look: Look, clock: Window | None, after: float | None, method: Method) -> Lag:
    """It streams and has replayed all it knows of: its upstream alone may know of more."""
    if clock is not None:
        if clock.by is None or look.at - clock.by < PROVEN_SECONDS:
            return Lag(0.0, method)
        return _behind(look, after, clock.by, method)
    if look.cut_off:
        return Lag(_since(look, _latest(look.last_commit, look.cut_off_since)), method)
    return Lag(0.0, method)


def _behind(look: Look, after: float | None, by: float, method: Method) -> Lag:
    if after is None:
        return Lag(_since(look, by), method, at_least=True)
    return Lag(_since(look, min(after, by)), method)


def _received(look: Look) -> Window:
    """What the standby's own receiver proves. Without a link, only what was before the last message."""
    window = look.received or Window(None, None)
    if look.connected or window.after is None:
        return window
    proven = window.after if look.last_message is None else min(window.after, look.last_message)
    return Window(proven, window.by)


def _since(look: Look, moment: float | None) -> float | None:
    return None if moment is None else max(0.0, look.at - moment - look.delay_seconds)


def _latest(*moments: float | None) -> float | None:
    return max((moment for moment in moments if moment is not None), default=None)


def _earliest(*moments: float | None) -> float | None:
    return min((moment for moment in moments if moment is not None), default=None)
