"""Counting slow commands by the ids of the log, in the states that a real server is slow to come into."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from dbwatch.engines.redis.slow_log import slow_commands
from dbwatch.errors import Skipped
from dbwatch.model import RawRow, Reason
from tests.unit.redis.pretended import Server


class Log(Server):
    """A slow log of the given ids, each entry as long as `microseconds` says."""

    def __init__(self, *ids: int, info: Mapping[str, str] | None = None) -> None:
        super().__init__(info={"run_id": "first", **(info or {})})
        self.ids = list(ids)
        self.microseconds = 20_000
        self.command = ["get", "key of a user"]
        self.asked: list[tuple[str, ...]] = []

    def ask(self, command: str, *arguments: str) -> object:
        self.asked.append((command, *arguments))
        if command == "CONFIG GET":
            return ["slowlog-log-slower-than", "10000"]
        newest = sorted(self.ids, reverse=True)[: int(arguments[0])]
        return [[id_, 1, self.microseconds, self.command, "127.0.0.1:1", ""] for id_ in newest]

    def look(self) -> RawRow:
        (row,) = slow_commands(self.context())
        return row


def test_new_ids_are_counted_and_their_time_summed() -> None:
    log = Log(1, 2, 3)
    assert log.look()["entries"] == 0.0
    log.ids += [4, 5]
    row = log.look()
    assert (row["entries"], row["slow_seconds"]) == (2.0, pytest.approx(0.04))
    assert (row["slowest"], row["mean_seconds"]) == ("GET", pytest.approx(0.02))
    assert log.look()["entries"] == 2.0


def test_nothing_new_costs_one_entry() -> None:
    log = Log(*range(100))
    log.look()
    log.asked.clear()
    log.look()
    assert ("SLOWLOG GET", "1") in log.asked
    assert ("SLOWLOG GET", "128") not in log.asked


def test_an_emptied_log_goes_on_with_its_ids() -> None:
    log = Log(1, 2, 3)
    log.look()
    log.ids = []
    assert log.look()["entries"] == 0.0
    log.ids = [9]
    assert log.look()["entries"] == 6.0  # 4 to 8 came and were thrown away


def test_a_log_that_was_always_empty_may_begin_with_any_id() -> None:
    log = Log()
    log.look()
    log.ids = [57]
    assert log.look()["entries"] == 1.0


def test_a_restart_counts_from_zero() -> None:
    log = Log(*range(40, 60))
    log.look()
    log.info["run_id"] = "second"
    log.ids = [0, 1, 2]
    assert log.look()["entries"] == 3.0


def test_of_a_flood_all_are_counted_and_the_newest_summed() -> None:
    log = Log(0)
    log.look()
    log.ids += range(1, 1001)
    row = log.look()
    assert (row["entries"], row["slow_seconds"]) == (1000.0, pytest.approx(128 * 0.02))


@pytest.mark.parametrize("name", ["b840fc02d524045429941cc15f59e41cb7be6c5288", "two words", "", "9lives"])
def test_a_renamed_command_stays_secret(name: str) -> None:
    log = Log(0)
    log.look()
    log.ids.append(1)
    log.command = [name, "secret"]
    assert log.look()["slowest"] == "a command"


def test_redis_8_8_tells_the_totals_to_everybody() -> None:
    class Refusing(Log):
        def ask(self, command: str, *arguments: str) -> object:
            raise Skipped(Reason.PRIVILEGE, "not for you", step=command)

    with pytest.raises(Skipped):
        Refusing().look()
    row = Refusing(info={"slowlog_commands_count": "7", "slowlog_commands_time_ms_sum": "1500"}).look()
    assert (row["entries"], row["slow_seconds"], row["slowest"]) == (7.0, 1.5, None)
