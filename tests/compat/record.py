"""`python -m tests.compat.record postgres_exporter`: run the exporter once and write what it shows to `recorded/`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping

from tests.compat import recording
from tests.compat.scraped import Scraped
from tests.harness.binaries import postgres_majors


def _postgres() -> tuple[str, Mapping[str, Mapping[str, Scraped]]]:
    from tests.compat.postgres_rig import looked_at

    with looked_at([major for major in postgres_majors() if major >= 14]) as look:
        return look.version, {name: seen.before for name, seen in look.servers.items()}


def _redis() -> tuple[str, Mapping[str, Mapping[str, Scraped]]]:
    from tests.compat.redis_rig import looked_at

    with looked_at() as look:
        return look.version, {name: seen.before for name, seen in look.servers.items()}


RIGS: Mapping[str, Callable[[], tuple[str, Mapping[str, Mapping[str, Scraped]]]]] = {
    "postgres_exporter": _postgres,
    "redis_exporter": _redis,
}


def main(names: list[str]) -> int:
    for name in names or list(RIGS):
        version, pages = RIGS[name]()
        kept = {
            server: {family: seen for family, seen in page.items() if not family.startswith(recording.OF_ITS_PROCESS)}
            for server, page in pages.items()
        }
        recording.save(recording.recording(name, version, kept))
        print(f"{name} {version}: recorded from {', '.join(pages)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
