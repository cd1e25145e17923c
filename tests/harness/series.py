"""Owns the lines of /metrics by which a daemon says how its targets and their checks are."""

from __future__ import annotations


def up(target: str, value: int, engine: str = "postgres") -> str:
    return f'dbwatch_target_up{{engine="{engine}",target="{target}"}} {value:.1f}'


def status(target: str, check: str, value: int) -> str:
    return f'dbwatch_check_status{{check="{check}",target="{target}"}} {value:.1f}'


def reason(target: str, check: str, word: str) -> str:
    return f'dbwatch_check_reason{{check="{check}",reason="{word}",target="{target}"}} 1.0'
