from __future__ import annotations

import datetime
import gzip
import math
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import generate_latest as write_text
from prometheus_client.openmetrics.exposition import generate_latest as write_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.registry import Collector

import dbwatch.exposition.joined as joined_module
import dbwatch.exposition.page as page_module
from dbwatch.catalogue import Check
from dbwatch.config import Ignore, Target
from dbwatch.exposition import Exposition, render_outcomes
from dbwatch.exposition.block import Block, Format, counter, gauge, histogram, pieces, render
from dbwatch.exposition.joined import Joined
from dbwatch.exposition.ledger import DEAREST
from dbwatch.exposition.samples import MOST_SERIES_OF_CHECK, MOST_SERIES_OF_TARGET
from dbwatch.model import Outcome, Reason, Status
from dbwatch.store import Store, TargetState
from tests.harness.promtool import check_metrics
from tests.unit.exposition.world import (
    CONNECTIONS,
    REACHABLE,
    UNUSED_INDEX,
    Clock,
    Ticking,
    answer,
    check_of,
    facts,
    index_row,
    no_answer,
    single_row,
    target_of,
)


def parse_openmetrics(page: str) -> Iterator[Metric]:
    families: Iterator[Metric] = text_string_to_metric_families(page)  # type: ignore[no-untyped-call]  # has no types
    return families


SIZE = "dbwatch_pg_unused_index_bytes"


class World:
    """A store with one page on it, and the three checks of the world for every target."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.store = Store()
        self.exposition = Exposition(self.store, Ticking(), self.clock)
        self.store.subscribe(self.exposition.update)
        self.unused = check_of(folder, "unused_index", UNUSED_INDEX)
        self.connections = check_of(folder, "connections", CONNECTIONS)
        self.reachable = check_of(folder, "unreachable", REACHABLE)

    def add(self, target: Target, *checks: Check, up: bool | None = True) -> None:
        self.store.register(target, checks or (self.unused, self.connections, self.reachable))
        self.store.set_state(target.name, TargetState(up=up, facts=facts() if up else None))

    def put(self, *outcomes: Outcome) -> None:
        for outcome in outcomes:
            self.store.put(outcome)

    def text(self) -> str:
        return self.exposition.page().decode()

    def series(self, metric: str) -> list[tuple[Mapping[str, str], float]]:
        """All samples of that name, as Prometheus would read them."""
        families = list(parse_text(self.text()))
        return [(s.labels, s.value) for family in families for s in family.samples if s.name == metric]

    def value(self, metric: str, **labels: str) -> float | None:
        found = [value for own, value in self.series(metric) if labels.items() <= own.items()]
        assert len(found) <= 1, f"{metric}{labels} has {len(found)} series"
        return found[0] if found else None


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_row_becomes_one_sample_a_measured_column(world: World) -> None:
    world.add(target_of())
    world.put(answer(world.unused, index_row("a_idx", 512.0, scans=3.0)))
    labels = {"target": "orders", "database": "shop", "index": "a_idx"}
    assert world.series(SIZE) == [(labels, 512.0)]
    assert world.series("dbwatch_pg_unused_index_scans_total") == [(labels, 3.0)]
    assert "# TYPE dbwatch_pg_unused_index_scans_total counter" in world.text()
    assert "_created" not in world.text()
    assert " age" not in world.text()


def test_null_is_no_sample(world: World) -> None:
    world.add(target_of())
    world.put(answer(world.unused, index_row("a_idx", None), index_row("b_idx", 0.0)))
    assert [labels["index"] for labels, _ in world.series(SIZE)] == ["b_idx"]
    assert world.series("dbwatch_series_dropped_total") == []


def test_a_family_of_many_targets_has_one_head(world: World) -> None:
    for name in ("orders", "shop"):
        world.add(target_of(name))
        world.put(answer(world.unused, index_row("a_idx"), target=name))
    text = world.text()
    assert text.count(f"# HELP {SIZE} ") == text.count(f"# TYPE {SIZE} ") == 1
    assert [labels["target"] for labels, _ in world.series(SIZE)] == ["orders", "shop"]
    assert text.index(f'{SIZE}{{database="shop",index="a_idx",target="shop"}}') > text.index(
        f'{SIZE}{{database="shop",index="a_idx",target="orders"}}'
    )
    for line in {line for line in text.splitlines() if line.startswith("#")}:
        assert text.count(f"{line}\n") == 1, line


def test_configured_labels_are_on_every_series_of_the_target_and_hide_none_of_its_own(world: World) -> None:
    world.add(target_of(labels={"team": "we\nb", "database": "no", "role": "no", "engine": "no"}))
    world.put(answer(world.unused, index_row("a_idx")))
    lines = [line for line in world.text().splitlines() if 'target="orders"' in line]
    assert lines
    assert all(r'team="we\\nb"' in line for line in lines)
    assert world.series(SIZE)[0][0]["database"] == "shop"
    assert world.value("dbwatch_target_info", engine="postgres", role="primary") == 1.0


@pytest.mark.parametrize(
    "name", ['we"ird\n; drop', "back\\slash", "🐘 שלום {}", "\x00\x1b]0;x\x07", "\udcff", "y" * 5000]
)
def test_hostile_names_stay_one_readable_line_each(world: World, name: str) -> None:
    world.add(target_of())
    world.put(answer(world.unused, index_row(name, 7.0)))
    ((labels, value),) = world.series(SIZE)
    assert value == 7.0
    assert len(labels["index"]) <= 128
    assert sum(line.startswith(SIZE) for line in world.text().splitlines()) == 1
    samples = [s for family in parse_openmetrics(world.exposition.page(True).decode()) for s in family.samples]
    assert [s.labels for s in samples if s.name == SIZE] == [labels]


def test_names_that_become_equal_are_dropped_and_counted(world: World) -> None:
    world.add(target_of())
    world.put(answer(world.unused, index_row("a\nb", 1.0), index_row("a\\nb", 2.0)))
    assert len(world.series(SIZE)) == 1
    assert world.value("dbwatch_series_dropped_total", check="unused_index") == 2.0


def test_a_check_with_too_many_series_keeps_its_findings_and_then_the_first_keys(world: World) -> None:
    world.add(target_of())
    rows = [index_row(f"i{number:04}", scans=1.0) for number in reversed(range(800))]
    rows += [index_row("z_critical", status=Status.CRITICAL), index_row("z_warning", status=Status.WARNING)]
    world.put(answer(world.unused, *rows))
    kept = [labels["index"] for labels, _ in world.series(SIZE)]
    assert len(kept) == MOST_SERIES_OF_CHECK // 2
    assert kept[:3] == ["z_critical", "z_warning", "i0000"]
    assert kept[-1] == "i0497"
    assert world.value("dbwatch_series_dropped_total", check="unused_index") == 2 * 802 - MOST_SERIES_OF_CHECK


def test_a_target_has_a_cap_of_its_own(world: World, tmp_path: Path) -> None:
    checks = [
        check_of(tmp_path, f"many_{number}", UNUSED_INDEX.replace("unused_index_", f"many_{number}_"))
        for number in range(11)
    ]
    world.add(target_of(), *checks)
    world.add(target_of("other"), checks[10])
    rows = [index_row(f"i{number}") for number in range(500)]
    world.put(*(answer(check, *rows) for check in checks), answer(checks[10], *rows, target="other"))
    mine = [line for line in world.text().splitlines() if line.startswith("dbwatch_pg_many_") and "orders" in line]
    assert len(mine) == MOST_SERIES_OF_TARGET
    assert world.value("dbwatch_series_dropped_total", target="orders", check="many_10") == 1000.0
    assert world.value("dbwatch_series_dropped_total", target="other", check="many_10") is None


def test_samples_end_when_their_last_success_is_too_old(world: World) -> None:
    world.add(target_of())
    world.put(answer(world.connections, single_row(used=0.5), finished=1000.0))
    world.clock.now = 1039.9
    assert world.value("dbwatch_pg_connections_used_ratio") == 0.5
    world.clock.now = 1040.0  # twice the interval of 15 s and the timeout of 10 s
    assert world.value("dbwatch_pg_connections_used_ratio") is None
    assert world.value("dbwatch_check_status", check="connections") == 0.0


def test_a_failed_run_keeps_what_was_true_until_it_is_too_old(world: World) -> None:
    world.add(target_of())
    world.put(answer(world.connections, single_row(used=0.5)), no_answer(world.connections, finished=1030.0))
    world.clock.now = 1030.0
    assert world.value("dbwatch_pg_connections_used_ratio") == 0.5
    assert world.value("dbwatch_check_status", check="connections") == 3.0
    assert world.value("dbwatch_check_reason", check="connections", reason="timeout") == 1.0
    assert world.series("dbwatch_check_findings") == []
    world.clock.now = 1041.0
    assert world.value("dbwatch_pg_connections_used_ratio") is None


def test_an_interval_of_the_target_decides_how_long_samples_live(world: World) -> None:
    world.add(Target("orders", target_of().engine, intervals={"connections": 100.0}))
    world.put(answer(world.connections, single_row(used=0.5)))
    world.clock.now = 1209.0
    assert world.value("dbwatch_pg_connections_used_ratio") == 0.5
    assert world.value("dbwatch_check_interval_seconds", check="connections") == 100.0


def test_the_first_reading_of_counters_is_exported_before_it_is_judged(world: World) -> None:
    world.add(target_of())
    world.put(no_answer(world.unused, reason=Reason.NO_BASELINE, rows=[index_row("a_idx", 9.0)]))
    assert world.value(SIZE, index="a_idx") == 9.0
    assert world.series("dbwatch_check_last_success_timestamp_seconds") == []


def test_a_skipped_check_loses_its_samples_at_once(world: World) -> None:
    world.add(target_of())
    world.put(answer(world.unused, index_row("a_idx")), no_answer(world.unused, Status.SKIPPED, Reason.ROLE))
    assert world.series(SIZE) == []
    assert world.value("dbwatch_check_status", check="unused_index") == 4.0
    assert world.value("dbwatch_check_duration_seconds_count", target="orders") == 1.0


def test_a_lost_server_keeps_only_what_the_connect_probe_says(world: World) -> None:
    world.add(target_of())
    world.put(answer(world.unused, index_row("a_idx")), answer(world.reachable, single_row(up=0.0)))
    assert world.series(SIZE)
    world.store.set_state("orders", TargetState(up=False, reason=Reason.REFUSED))
    assert world.series(SIZE) == []
    assert world.value("dbwatch_pg_up") == 0.0
    assert world.value("dbwatch_target_up", engine="postgres") == 0.0
    assert world.series("dbwatch_target_info") == []


def test_a_server_full_for_others_still_shows_what_our_session_sees(world: World) -> None:
    world.add(target_of())
    world.put(answer(world.unused, index_row("a_idx")))
    world.store.set_state("orders", TargetState(up=False, reason=Reason.TOO_MANY_CONNECTIONS, facts=facts()))
    assert world.series(SIZE)
    assert world.value("dbwatch_target_up") == 0.0


def test_a_target_never_reached_is_there_and_down(world: World) -> None:
    world.add(target_of(), up=None)
    assert world.series("dbwatch_target_up") == [({"target": "orders", "engine": "postgres"}, 0.0)]


def test_a_check_says_how_it_is_doing(world: World) -> None:
    world.add(target_of())
    bad = index_row("a_idx", status=Status.CRITICAL), index_row("b_idx", status=Status.WARNING)
    world.put(answer(world.unused, *bad, index_row("c_idx"), wall=1_700_000_123.5), no_answer(world.unused))
    world.put(answer(world.unused, *bad, wall=1_700_000_200.5))
    world.exposition.missed("orders", "unused_index")
    world.exposition.missed("orders", "no_such_check")
    world.exposition.missed("nobody", "unused_index")
    about = {"target": "orders", "check": "unused_index"}
    assert world.value("dbwatch_check_status", **about) == 2.0
    assert world.value("dbwatch_check_findings", **about, status="critical") == 1.0
    assert world.value("dbwatch_check_findings", **about, status="warning") == 1.0
    assert world.value("dbwatch_check_last_success_timestamp_seconds", **about) == 1_700_000_200.5
    assert world.value("dbwatch_check_interval_seconds", **about) == 3600.0
    assert world.value("dbwatch_check_runs_total", target="orders", result="critical") == 2.0
    assert world.value("dbwatch_check_runs_total", target="orders", result="unknown") == 1.0
    assert world.value("dbwatch_check_missed_total", target="orders") == 1.0
    assert world.value("dbwatch_check_duration_seconds_bucket", target="orders", le="0.1") == 1.0
    assert world.value("dbwatch_check_duration_seconds_bucket", target="orders", le="+Inf") == 3.0
    assert world.value("dbwatch_check_duration_seconds_sum", target="orders") == 0.5
    assert world.value("dbwatch_check_query_seconds_total", **about) == 0.25, "told of the dearest"
    assert world.value("dbwatch_threshold", **about, level="critical") == 2.0**30
    assert world.value("dbwatch_threshold", **about, level="warning") == 100 * 2.0**20
    assert world.value("dbwatch_target_query_seconds_total", target="orders") == 0.25


def test_the_verdict_and_the_limits_on_the_page_are_those_of_now(world: World) -> None:
    """They are rendered when they change: one that stayed behind would contradict the samples beside it."""
    about = {"target": "orders", "check": "unused_index"}
    ignored = Ignore("unused_index", "*", "known", until=datetime.datetime.now(tz=datetime.UTC).date())
    world.add(replace(target_of(), ignore=(ignored,)))
    for findings in (2, 1, 0, 3):
        world.put(answer(world.unused, *(index_row(f"i{n}", status=Status.WARNING) for n in range(findings))))
        assert world.value("dbwatch_check_status", **about) == float(findings > 0)
        assert (world.value("dbwatch_check_findings", **about, status="warning") or 0) == findings
        assert world.value("dbwatch_check_overridden", **about) == 1.0
    world.put(no_answer(world.unused, reason=Reason.TIMEOUT))
    assert world.series("dbwatch_check_findings") == []
    world.put(no_answer(world.unused, reason=Reason.LOCK))
    assert [labels["reason"] for labels, _ in world.series("dbwatch_check_reason")] == ["lock"]
    yesterday = datetime.datetime.now(tz=datetime.UTC).date() - datetime.timedelta(days=1)
    world.add(replace(target_of(), ignore=(replace(ignored, until=yesterday),)))
    world.put(no_answer(world.unused, reason=Reason.LOCK))
    assert world.series("dbwatch_check_overridden") == []


def test_the_cost_is_told_of_the_dearest_and_stays_until_others_are_far_dearer(world: World, tmp_path: Path) -> None:
    checks = [
        check_of(tmp_path, f"many_{number}", UNUSED_INDEX.replace("unused_index_", f"many_{number}_"))
        for number in range(3 * DEAREST)
    ]
    world.add(target_of(), *checks)

    def run(each: Iterable[Check], seconds: float) -> set[str]:
        for check in each:
            world.put(replace(answer(check), database_seconds=seconds))
        for check in checks:
            world.put(replace(answer(check), database_seconds=0.0))
        return {labels["check"] for labels, _ in world.series("dbwatch_check_query_seconds_total")}

    first, second, third = (checks[start : start + DEAREST] for start in range(0, 3 * DEAREST, DEAREST))
    assert run(first, 1.0) == {check.name for check in first}
    assert run(second, 2.0) == {check.name for check in (*first, *second)}, "who was told of is still"
    assert run(third, 3.0) == {check.name for check in (*second, *third)}
    assert run(first, 0.0) == {check.name for check in (*second, *third)}


def test_a_page_is_joined_of_what_was_rendered_when_the_checks_ran(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered = Counter[str]()

    def counting(name: str, original: Callable[..., Block]) -> Callable[..., Block]:
        def counted(*args: object, **more: object) -> Block:
            rendered[name] += 1
            return original(*args, **more)

        return counted

    for name in ("samples_of", "runs_of", "verdict_of", "limits_of"):
        monkeypatch.setattr(page_module, name, counting(name, getattr(page_module, name)))
    world.add(target_of())
    world.put(answer(world.unused, *(index_row(f"i{number}") for number in range(400))))
    once = Counter(samples_of=1, runs_of=1, verdict_of=1, limits_of=1)
    assert rendered == once
    for _ in range(3):
        world.exposition.page()
        world.exposition.page(openmetrics=True, gzip=True)
    assert rendered == once
    world.put(answer(world.connections, single_row(used=0.5)))
    world.exposition.page()
    assert rendered == Counter(dict.fromkeys(once, 2)), "of another check nothing is rendered again"


def test_a_check_that_is_well_has_few_series_about_itself(world: World) -> None:
    """A target has more than a hundred: each series here is a hundred, mostly of numbers that nobody looks at."""
    world.add(target_of())
    for _ in range(5):
        world.put(answer(world.unused))
    about = [
        line for line in world.text().splitlines() if 'check="unused_index"' in line and "query_seconds" not in line
    ]
    names = [line.partition("{")[0] for line in about]
    assert sorted(names) == [
        "dbwatch_check_interval_seconds",
        "dbwatch_check_last_success_timestamp_seconds",
        "dbwatch_check_status",
        "dbwatch_threshold",
        "dbwatch_threshold",
    ]


def test_a_run_missed_before_the_first_one_ended_is_counted(world: World) -> None:
    world.add(target_of())
    world.exposition.missed("orders", "connections")
    assert world.value("dbwatch_check_missed_total", target="orders") == 1.0
    assert world.series("dbwatch_check_status") == []


def test_the_daemon_says_how_it_is_doing(world: World) -> None:
    assert world.value("dbwatch_config_last_reload_successful") == 1.0
    world.exposition.reload_succeeded(False)
    assert world.value("dbwatch_config_last_reload_successful") == 0.0
    assert world.value("dbwatch_scheduler_tick_timestamp_seconds") == 1_700_000_000.0
    assert world.value("dbwatch_build_info") == 1.0
    assert (world.value("process_resident_memory_bytes") or 0.0) > 1e6


def test_a_target_or_check_taken_out_leaves_nothing_behind(world: World) -> None:
    world.add(target_of())
    world.add(target_of("shop"))
    for name in ("orders", "shop"):
        world.put(answer(world.unused, index_row("a_idx"), target=name), answer(world.connections, target=name))
    world.store.register(target_of(), [world.connections])
    assert "unused_index" not in "".join(line for line in world.text().splitlines() if '"orders"' in line)
    world.store.forget("shop")
    world.exposition.forget("shop")
    assert '"shop"' not in world.text()
    world.add(target_of())
    assert world.series(SIZE) == []


def test_the_page_is_clean_in_both_formats(world: World) -> None:
    world.add(target_of(labels={"team": "web"}))
    world.add(target_of("shop"), up=None)
    for name in ("orders", "shop"):
        world.put(
            answer(world.unused, index_row("a_idx", status=Status.WARNING), index_row('q"\n🐘'), target=name),
            answer(world.connections, single_row(used=0.5), target=name),
            answer(world.reachable, single_row(up=1.0), target=name),
        )
    world.put(no_answer(world.connections, target="shop"), no_answer(world.unused, Status.SKIPPED, target="shop"))
    world.exposition.missed("orders", "connections")
    openmetrics = world.exposition.page(openmetrics=True).decode()
    assert openmetrics.endswith("# EOF\n")
    assert openmetrics.count("# EOF") == 1
    by_name = {family.name: family for family in parse_openmetrics(openmetrics)}
    assert by_name["dbwatch_pg_unused_index_scans"].type == "counter"
    assert by_name[SIZE].unit == "bytes"
    assert by_name["dbwatch_check_duration_seconds"].type == "histogram"
    text_samples = {(s.name, *sorted(s.labels.items())) for f in parse_text(world.text()) for s in f.samples}
    assert {(s.name, *sorted(s.labels.items())) for f in by_name.values() for s in f.samples} == text_samples
    assert check_metrics(world.text()) == ""


@pytest.mark.parametrize("openmetrics", [False, True])
def test_the_compressed_page_is_one_gzip_member_of_the_same_page(world: World, openmetrics: bool) -> None:
    world.add(target_of())
    world.put(answer(world.unused, *(index_row(f"i{number}") for number in range(300))))
    plain = world.exposition.page(openmetrics)
    for _ in range(3):
        compressed = world.exposition.page(openmetrics, gzip=True)
        assert len(compressed) < len(plain) / 3
        reader = gzip.zlib.decompressobj(31)  # type: ignore[attr-defined]  # the module has it, its stub does not
        shown = reader.decompress(compressed)
        assert reader.eof
        assert reader.unused_data == b""
        assert _without_process(shown) == _without_process(plain)


def _without_process(page: bytes) -> list[bytes]:
    return [line for line in page.splitlines() if not line.startswith((b"process_", b"python_"))]


def test_a_large_page_is_joined_once_and_sent_often(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = [
        check_of(tmp_path, f"many_{number}", UNUSED_INDEX.replace("unused_index_", f"many_{number}_"))
        for number in range(10)
    ]
    rows = [index_row(f"i{number}") for number in range(500)]
    for name in ("a", "b", "c"):
        world.add(target_of(name), *checks)
        world.put(*(answer(check, *rows, target=name) for check in checks))
    joins: list[Format] = []

    def counting(blocks: list[Block], form: Format) -> list[bytes]:
        if len(blocks) > 1:
            joins.append(form)
        return pieces(blocks, form)

    monkeypatch.setattr(page_module, "pieces", counting)
    pages = [world.text() for _ in range(5)]
    assert sum(line.startswith("dbwatch_pg_many_") for line in pages[0].splitlines()) == 30_000
    assert joins == [Format.TEXT]
    world.put(answer(checks[0], *rows, target="a"))
    world.text()
    assert joins == [Format.TEXT, Format.TEXT]


def test_both_formats_write_the_samples_of_our_kinds_of_family_alike() -> None:
    """They are rendered once for both pages, by us, as the library would."""
    values = (0.0, -1.5, 7.0, 1e-9, 1e300, 123_456_789_012.0, math.inf, -math.inf, math.nan)
    names = ("plain", 'q"\\\n🐘', "", "\\n", '{a="b"}, ')
    families: list[Metric] = []
    for made in (gauge("a_seconds", "Help.", ("z", "a")), counter("b_bytes_total", "Help.", ("z", "a"))):
        for name in names:
            for number, value in enumerate(values):
                made.add_metric((name, str(number)), value)
        families.append(made)
    spread = histogram("c_seconds", "Help.", ("z", "a"))
    for name in names:
        spread.add_metric((name, "1"), [("0.1", 1), ("+Inf", 3)], 0.5)
    families.append(spread)
    for family in families:
        written = [
            [line for line in page.splitlines() if not line.startswith(b"#")]
            for page in (write_text(_registry(family)), write_openmetrics(_registry(family)))  # type: ignore[no-untyped-call]  # the library types only the other
        ]
        assert written[0] == written[1]
        assert [line for part in render([family]).parts for line in part.samples.splitlines()] == written[0]
        assert len(written[0]) >= len(names)


def _registry(family: Metric) -> CollectorRegistry:
    class One(Collector):
        def collect(self) -> Iterable[Metric]:
            return (family,)

    registry = CollectorRegistry()
    registry.register(One())
    return registry


def test_scrapes_and_runs_at_the_same_time_give_whole_pages(world: World) -> None:
    world.add(target_of())
    done = threading.Event()

    def run() -> None:
        while not done.is_set():
            world.put(answer(world.unused, *(index_row(f"i{number}") for number in range(20))))
            world.exposition.missed("orders", "connections")

    runners = [threading.Thread(target=run) for _ in range(3)]
    for runner in runners:
        runner.start()
    try:
        counts = {len(world.series(SIZE)) for _ in range(30)}
    finally:
        done.set()
        for runner in runners:
            runner.join()
    assert counts <= {0, 20}
    assert 20 in counts


def test_a_check_that_cannot_be_rendered_costs_only_itself(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.add(target_of())
    world.put(answer(world.unused, index_row("a_idx")), answer(world.connections, single_row(used=0.5)))
    monkeypatch.setattr(page_module, "samples_of", _explode)
    world.put(answer(world.unused, index_row("a_idx")))
    assert world.series(SIZE) == []
    assert world.value("dbwatch_pg_connections_used_ratio") == 0.5


def _explode(*_: object) -> Callable[[], None]:
    raise RuntimeError("poisoned")


def test_one_run_is_shown_without_a_daemon(world: World) -> None:
    world.add(target_of(labels={"team": "web"}))
    world.add(target_of("shop"), up=False)
    world.put(answer(world.unused, index_row("a_idx", 9.0, status=Status.WARNING)))
    text = render_outcomes(world.store.views())
    samples = {s.name: (s.labels, s.value) for family in parse_text(text) for s in family.samples}
    assert samples[SIZE] == ({"target": "orders", "team": "web", "database": "shop", "index": "a_idx"}, 9.0)
    assert 'dbwatch_target_up{engine="postgres",target="shop"} 0.0' in text
    assert samples["dbwatch_check_status"][1] == 1.0
    assert not any(name.startswith(("process_", "dbwatch_check_runs", "dbwatch_build")) for name in samples)
    assert check_metrics(text) == ""


def test_large_pieces_are_compressed_once_and_the_page_is_one_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    large = [b"".join(b"m%d_%d %d\n" % (number, line, line) for line in range(2_000)) for number in range(2)]
    small = b"s 1\n"
    before = Joined((), 0.0, [small, large[0], small, large[1]])
    assert gzip.decompress(before.gzip_followed_by(b"end\n")) == before.followed_by(b"end\n")
    compressed: list[bytes] = []
    deflated = joined_module._deflated

    def noting(data: bytes, ending: int) -> bytes:
        compressed.append(data)
        return deflated(data, ending)

    monkeypatch.setattr(joined_module, "_deflated", noting)
    changed = large[1] + b"x 1\n"
    after = Joined((), 0.0, [large[0], b"s 2\n", changed], before)
    assert gzip.decompress(after.gzip_followed_by(b"end\n")) == large[0] + b"s 2\n" + changed + b"end\n"
    assert changed in compressed
    assert large[0] not in compressed
    equal = bytes(bytearray(large[0]))
    assert gzip.decompress(Joined((), 0.0, [equal], after).gzip_followed_by(b"")) == equal
