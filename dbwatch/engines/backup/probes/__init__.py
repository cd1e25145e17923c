"""The questions the backup engine answers, by the name a check gives."""

from __future__ import annotations

from collections.abc import Mapping

from dbwatch.engines.backup.context import Probe
from dbwatch.engines.backup.probes.ages import ages, sizes
from dbwatch.engines.backup.probes.chain import gaps
from dbwatch.engines.backup.probes.promises import promises
from dbwatch.engines.backup.probes.recovery import recovery
from dbwatch.engines.backup.probes.restoring import restoring
from dbwatch.engines.backup.probes.running import running
from dbwatch.engines.backup.probes.troubles import troubles

AGES = "backup_ages"
RESTORE = "backup_restore"

PROBES: Mapping[str, Probe] = {
    AGES: ages,
    "backup_sizes": sizes,
    "backup_troubles": troubles,
    "backup_recovery": recovery,
    "backup_promises": promises,
    "backup_gaps": gaps,
    "backup_running": running,
    RESTORE: restoring,
}
