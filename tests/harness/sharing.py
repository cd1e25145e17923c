"""Owns how tests are shared out among pytest-xdist's workers: the longest first, so that none is left alone at the end.

A module stays with one worker, for its fixtures; one of `BY_MAJOR` is a module for each major. Measured with
`pytest --durations=0`; a module that is not named here is taken for a short one.
"""

from __future__ import annotations

import re

from xdist.scheduler import LoadScopeScheduling

BY_MAJOR = (
    "tests/acceptance/test_loud.py",
    "tests/acceptance/test_majors.py",
    "tests/acceptance/test_quiet.py",
    "tests/postgres/bloat/test_accuracy.py",
)
LONGEST = (
    "tests/checks/test_cases.py::TestPostgres",
    "tests/faults/test_daemon_survives.py",
    "tests/acceptance/test_doctor.py",
    "tests/acceptance/test_majors.py",
    "tests/acceptance/test_cli.py",
    "tests/acceptance/test_daemon.py",
    "tests/acceptance/test_bad_input.py",
    "tests/postgres/bloat/test_accuracy.py",
    "tests/faults/test_pooler.py",
    "tests/faults/test_wheel.py",
    "tests/faults/test_bounds.py",
    "tests/faults/test_reload_and_end.py",
    "tests/faults/test_time.py",
    "tests/faults/test_network.py",
    "tests/backup/test_pgbackrest.py",
    "tests/backup/test_barman.py",
    "tests/faults/test_hostile_owner.py",
    "tests/faults/test_reaching.py",
    "tests/acceptance/test_verdicts_agree.py",
    "tests/acceptance/test_loud.py",
    "tests/acceptance/test_quiet.py",
    "tests/acceptance/test_older_extension.py",
    "tests/acceptance/test_offline_commands.py",
    "tests/postgres/lag/test_truth.py",
    "tests/postgres/scale/test_scale.py",
    "tests/postgres/schemas/test_precision.py",
    "tests/postgres/indexes/test_conformance.py",
    "tests/postgres/test_identity.py",
    "tests/redis/test_replicas.py",
    "tests/render/test_rules.py",
    "tests/postgres/bloat/test_late_counters.py",
    "tests/postgres/statements/test_truth.py",
    "tests/postgres/test_two_nodes.py",
    "tests/unit/postgres/test_statement_baseline.py",
)
_MAJOR = re.compile(r"\bpg(\d\d)\b")


def scope_of(node_id: str) -> str:
    """What goes to one worker: the module or class, or a module's tests of one major."""
    scope = node_id.partition("[")[0].rpartition("::")[0]
    major = _MAJOR.search(node_id) if scope in BY_MAJOR else None
    return f"{scope}[pg{major[1]}]" if major else scope


def place_of(node_id: str) -> int:
    """Where it stands in the order of length."""
    return next((place for place, begin in enumerate(LONGEST) if node_id.startswith(begin)), len(LONGEST))


class Sharing(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """`--dist loadscope` with scopes of our own, in the order of the collection."""

    def _split_scope(self, nodeid: str) -> str:
        return scope_of(nodeid)
