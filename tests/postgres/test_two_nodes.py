"""What two watched nodes tell each other: a second primary, a standby with too little room. A switchover is neither."""

from __future__ import annotations

import pytest

from dbwatch.model import Reason, Role, Status
from tests.conftest import FreshPostgres, wanted_majors
from tests.harness.postgres import Postgres
from tests.postgres.watching import watching

OLDEST_AND_NEWEST = sorted({min(wanted_majors()), max(wanted_majors())})


def _pair(major: int, fresh_postgres: FreshPostgres, **settings: str) -> tuple[Postgres, Postgres]:
    primary = fresh_postgres(major, settings=settings, own_identity=True)
    primary.create_monitor_role()
    return primary, primary.standby()


@pytest.mark.parametrize("major", OLDEST_AND_NEWEST)
def test_an_old_primary_that_goes_on_is_found_from_both_sides(major: int, fresh_postgres: FreshPostgres) -> None:
    old, new = _pair(major, fresh_postgres)
    with watching("split_brain") as watch:
        watch.add("old", old)
        watch.add("new", new)
        assert watch.look("old").status is Status.OK
        assert watch.look("new").reason is Reason.ROLE
        new.promote()
        # The other was seen as a primary before this one was promoted: no proof yet.
        assert watch.look("new").status is Status.OK
        from_old = watch.look("old")
        assert from_old.status is Status.CRITICAL
        assert from_old.findings[0].message == (
            "this server (timeline 1) and new (timeline 2) are primaries of one cluster at the same time"
        )
        from_new = watch.look("new")
        assert from_new.status is Status.CRITICAL
        assert from_new.rows[0].values["primaries"] == 2
        assert "old (timeline 1)" in from_new.findings[0].message


def test_one_look_at_each_is_enough_when_they_have_been_primaries_for_long(fresh_postgres: FreshPostgres) -> None:
    """A one-shot run has no second look, but the servers know since when their launchers run."""
    old, new = _pair(max(wanted_majors()), fresh_postgres)
    new.promote()
    with watching("split_brain") as watch:
        watch.add("old", old)
        watch.add("new", new)
        watch.look("old")
        assert watch.look("new").status is Status.CRITICAL


def test_a_switchover_is_no_split_brain(fresh_postgres: FreshPostgres) -> None:
    old, new = _pair(max(wanted_majors()), fresh_postgres)
    with watching("split_brain") as watch:
        watch.add("old", old)
        watch.add("new", new)
        assert watch.look("old").status is Status.OK
        old.stop()
        new.promote()
        for _ in range(2):
            assert watch.look("new").status is Status.OK


def test_two_ways_to_one_server_and_clones_on_purpose(fresh_postgres: FreshPostgres) -> None:
    server, clone = _pair(max(wanted_majors()), fresh_postgres)
    with watching("split_brain") as watch:
        watch.add("direct", server)
        watch.add("pooled", server)
        for name in ("direct", "pooled", "direct"):
            assert watch.look(name).rows[0].values["primaries"] == 1
        clone.promote()
        watch.add("production", server, role=Role.PRIMARY)
        watch.add("rehearsal", clone, role=Role.PRIMARY)
        for name in ("production", "rehearsal", "production"):
            found = watch.look(name)
        assert found.status is Status.OK
        # One that does not say so is not known to be meant.
        assert watch.look("direct").status is Status.CRITICAL


def test_the_settings_of_a_clone_are_not_held_against_a_standby(fresh_postgres: FreshPostgres) -> None:
    primary, standby = _pair(max(wanted_majors()), fresh_postgres)
    clone = primary.standby(name="clone", settings={"max_connections": "300"})
    clone.promote()
    with watching("standby_setting_lower") as watch:
        for name, server in (("production", primary), ("standby", standby), ("rehearsal", clone)):
            watch.add(name, server)
        watch.look("production")
        assert watch.look("standby").status is Status.OK
        watch.look("rehearsal")
        outcome = watch.look("standby")
        assert (outcome.status, outcome.reason) == (Status.SKIPPED, Reason.NO_BASELINE)
        assert "production, rehearsal" in outcome.summary


@pytest.mark.parametrize("major", OLDEST_AND_NEWEST)
def test_a_standby_with_less_room_than_its_primary(major: int, fresh_postgres: FreshPostgres) -> None:
    primary, standby = _pair(major, fresh_postgres)
    with watching("standby_setting_lower") as watch:
        watch.add("primary", primary)
        watch.add("standby", standby)
        assert watch.look("standby").reason is Reason.NO_BASELINE
        assert watch.look("primary").status is Status.OK
        assert watch.look("standby").status is Status.OK

        primary.settings.update({"max_connections": "150", "max_prepared_transactions": "5", "max_wal_senders": "5"})
        primary.write_settings()
        primary.restart()
        watch.reconnect("primary")
        assert watch.look("primary").status is Status.OK
        outcome = watch.look("standby")
        assert outcome.status is Status.WARNING
        assert [finding.key for finding in outcome.findings] == ["max_connections", "max_prepared_transactions"]
        assert outcome.findings[0].message == "max_connections is 100 here and 150 on the primary (primary)"
        assert outcome.findings[0].fix is not None
        assert outcome.findings[0].fix.startswith("ALTER SYSTEM SET max_connections = 150;")
