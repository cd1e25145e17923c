"""Owns the words of the 57 faults that dbwatch is held to, and what is promised for each. Knows no test.

A test of row 7 is called `test_row_07_…`, a row may have several. A fault that is not among them is tested by
`test_found_…`, whose docstring says it in two sentences: the fault, then the promise.
"""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """One fault: what happens, and what dbwatch does then."""

    fault: str
    promise: str


ROWS: dict[int, Row] = {
    1: Row(
        "PostgreSQL is down when the daemon starts",
        "pages are served at once, the target is down as `refused`, and up soon after the server is",
    ),
    2: Row(
        "PostgreSQL is restarted",
        "a check fails once at most, a new session is opened, two log lines tell of it",
    ),
    3: Row(
        "a server process is killed and PostgreSQL recovers",
        "`not_ready` while it lasts; counters begin anew and none is negative",
    ),
    4: Row("PostgreSQL is starting for a while", "`not_ready`, and nothing is critical"),
    5: Row(
        "a port that accepts and says nothing",
        "`timeout` at the connect limit; the other targets notice nothing",
    ),
    6: Row(
        "our server process is frozen",
        "the connection is shut a second after the deadline, the next run is served, scrapes never wait",
    ),
    7: Row(
        "the postmaster is frozen",
        "new connections are a `timeout`, and the session that is held goes on",
    ),
    8: Row(
        "packets vanish (a proxy that stops passing them on)",
        "noticed within the deadline, reconnected when it heals",
    ),
    9: Row(
        "rows arrive a few bytes a second",
        "the deadline ends it at step `fetch`, and memory does not grow",
    ),
    10: Row("the connection is cut in the middle of a row", "`connection_lost`, and no half result is shown"),
    11: Row("the name server is dead", "`dns` at the deadline, not at the resolver's; the lane lives on"),
    12: Row("a name moves to another server", "the new one is asked once the session is too old, its role is told"),
    13: Row(
        "all connection slots are taken",
        "the session that is held goes on; a new one is `too_many_connections`, tried twice a minute at most",
    ),
    14: Row(
        "the role's own connection limit is reached",
        "`too_many_connections`, and no more attempts than for a full server",
    ),
    15: Row(
        "a wrong password, then the right one in its file",
        "`auth`, then well without a restart; the password is nowhere to be read",
    ),
    16: Row("the server's certificate has expired or names another host", "`tls`, and never plain text instead"),
    17: Row(
        "a table is locked in exclusive mode",
        "its size is not told and nothing waits for it; the other checks go on, and it is back afterwards",
    ),
    18: Row(
        "somebody waits for such a lock behind a reader",
        "the same, and we stand in that queue for no longer than our lock timeout",
    ),
    19: Row("a query that never ends", "the server ends it at our limit: `unknown` as `timeout`"),
    20: Row(
        "a check file that writes, commits, sets, copies or sends two statements",
        "an error of that check; the database is untouched and the next check runs",
    ),
    21: Row("a check that ends its own session", "`connection_lost`, and the lane opens another"),
    22: Row(
        "the role lacks `pg_monitor`",
        "each check that needs it is skipped and logged once, `explain` names the right, no number is made up",
    ),
    23: Row(
        "an extension is not installed or not loaded",
        "its checks are skipped with the reason, and the server logs no error",
    ),
    24: Row("a standby", "checks for primaries do not run, and the server logs no error about recovery"),
    25: Row(
        "a standby is promoted under load",
        "the checks of a primary run at their next turn, without a restart and without a series twice",
    ),
    26: Row("the standby's recovery cancels a query of ours", "`conflict`; the lane goes on, no traceback"),
    27: Row(
        "PgBouncer in transaction mode, several clients, many runs",
        "the same answers as without it; no prepared statement and no setting is left in a shared session",
    ),
    28: Row("PgBouncer is up and its PostgreSQL is not", "down by the deadline, although the pooler let us in"),
    29: Row("a database in SQL_ASCII with names that are no text", "the numbers are there, the names escaped"),
    30: Row("another session runs a query that is not valid UTF-8", "the checks of activity succeed"),
    31: Row(
        "names with quotes, newlines, emoji, braces, 63 bytes, right to left",
        "the page is valid and the names come back as they were",
    ),
    32: Row("a check returns the same key twice", "an error of that check alone; the page is served"),
    33: Row(
        "NULL, NaN, infinity, huge numbers, the wrong type",
        "each is what the contract says, and the page is served",
    ),
    34: Row("a result of 50,000 rows", "the server cuts it, what was dropped is counted, a scrape stays quick"),
    35: Row("50,000 tables", "the dear checks end in time, and the server's memory comes back"),
    36: Row(
        "300 databases; no room for temporary files",
        "two sessions at any time and a bounded round; the reason is `resources`",
    ),
    37: Row("statistics are reset", "the counters show it, and no alert comes of it"),
    38: Row("the clock jumps back an hour or ahead sixty days", "checks go on within an interval, memory stays"),
    39: Row("a check is slower than its interval", "never two at once; what was missed is counted"),
    40: Row("ten targets hang and five are well", "the five are asked on time"),
    41: Row("hundreds of silent peers at the endpoint", "a scrape is answered, the peers are sent away"),
    42: Row("no, wrong or foreign credentials", "refused without a detail"),
    43: Row("odd and hostile requests", "refused; none causes a connection"),
    44: Row("the endpoint's certificate is replaced, then by garbage", "the new one, then still the last good one"),
    45: Row(
        "a reload with broken files, then with good ones",
        "the old configuration goes on, every problem is told in one event, a gauge says so until it is mended",
    ),
    46: Row("a reload that changes one target of three", "the other two keep session and schedule"),
    47: Row(
        "a signal to end while idle, in a query, at a frozen server, as process 1",
        "exit code 0 in time, and no session is left behind",
    ),
    48: Row("standard output is full, unread or closed", "checks and scrapes go on, lost lines are counted"),
    49: Row(
        "an outage of an hour with 100 checks",
        "at most 20 log lines, and one attempt to connect for each step of the backoff",
    ),
    50: Row("odd passwords in every error", "neither a password nor four letters of it in any output"),
    51: Row("hostile YAML", "refused with file and line, or taken as the very text it is; memory stays"),
    52: Row(
        "the owner of a database sets its search path and limits against us",
        "the real catalogue is read, under our own limits",
    ),
    53: Row(
        "Redis is frozen, loading, full, a replica, or refuses us",
        "each has its reason in time, without a storm of retries",
    ),
    54: Row("20,000 runs with a flapping target", "memory, descriptors and threads stay as they are"),
    55: Row("only 64 file descriptors", "worse with a reason, and well again when some are free"),
    56: Row(
        "`dbwatch check` on what is well, ill, away or misconfigured",
        "its exit code says which; results on stdout only, logs on stderr only",
    ),
    57: Row("an installed wheel without the source tree", "the bundled checks, alerts and dashboards are found"),
}
