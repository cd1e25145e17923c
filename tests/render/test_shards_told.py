"""A target that moves to another shard is not missing; one that a daemon lost is, though its twin still has it."""

from __future__ import annotations

import re
from pathlib import Path

from tests.harness.promtool import run_rule_tests
from tests.render.bundled_files import matching

HOURS_BEFORE, MINUTES_AFTER = 4, 175


def series(name: str, labels: str, values: str) -> dict[str, str]:
    return {"series": f'{name}{{job="dbwatch",{labels}}}', "values": values}


def test_a_target_that_moved_to_another_shard_is_not_missing(tmp_path: Path) -> None:
    (tmp_path / "self.rules.yaml").write_text(matching("alerts/self.rules.yaml")["alerts/self.rules.yaml"])
    before = HOURS_BEFORE * 60
    lost, came, stays = f"1x{before - 1} stale", f"_x{before} 1x{MINUTES_AFTER}", f"1x{before + MINUTES_AFTER}"
    watched = [
        ("a", "moved", lost),
        ("b", "moved", came),
        ("a", "forgotten", lost),
        ("a", "twice", lost),
        ("b", "twice", stays),
    ]
    done, told = run_rule_tests(
        {
            "rule_files": ["self.rules.yaml"],
            "evaluation_interval": "1m",
            "tests": [
                {
                    "interval": "1m",
                    "input_series": [
                        *(series("up", f'instance="{daemon}"', stays) for daemon in "ab"),
                        *(
                            series("dbwatch_target_up", f'instance="{daemon}",target="{target}"', values)
                            for daemon, target, values in watched
                        ),
                    ],
                    # Nothing is expected, so promtool names what fires.
                    "alert_rule_test": [
                        {"alertname": "DbwatchTargetMissing", "eval_time": f"{before + minute}m", "exp_alerts": []}
                        for minute in (-1, 15, MINUTES_AFTER - 1)
                    ],
                }
            ],
        },
        folder=tmp_path,
    )
    assert not done
    assert sorted(re.findall(r'instance="(\w)".*? target="(\w+)"', told)) == 2 * [("a", "forgotten")] + 2 * [
        ("a", "twice")
    ], told
