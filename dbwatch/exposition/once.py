"""Owns the page of a single run, for `dbwatch check --format prometheus`: no counts, no process, no expiry. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from dbwatch.exposition.about import about_target, verdict_of
from dbwatch.exposition.block import Block, Format, join
from dbwatch.exposition.samples import samples_of
from dbwatch.store import TargetView


def render_outcomes(views: Sequence[TargetView]) -> str:
    """The measured series, `dbwatch_target_up`, and every check's verdict, in the text format."""
    ran = [(view.target, known.check, known.outcome) for view in views for known in view.checks]
    blocks: list[Block] = [samples_of(target, check, out).block for target, check, out in ran if out is not None]
    blocks += (about_target(view.target, view.state) for view in views)
    blocks += (verdict_of(target, outcome) for target, _, outcome in ran if outcome is not None)
    return join(blocks, Format.TEXT).decode()
