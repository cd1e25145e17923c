"""Owns measuring pg_wal and naming what keeps it: slot, archive, checkpoints, replay, summarizer, wal_keep_size.

Each of them holds log back to a position of its own; the one that holds most is named. Where none of them holds half of
what is there, nothing does: the server gives back files slowly after a peak.
"""

from __future__ import annotations

from collections.abc import Sequence

from dbwatch.engines.postgres.probe import ProbeContext
from dbwatch.engines.postgres.rows import number, text
from dbwatch.model import RawRow
from dbwatch.template import Template
from dbwatch.units import bytes_text

_SQL = """
-- Privilege: pg_monitor, to list pg_wal and its archive_status. Asks the system for the size of each file: 10,000 files
-- take some 50 ms. A segment's place in the log is in its name; those ahead of the position wait to be used again.
-- A standby cannot get past a checkpoint it has not replayed, so there the distance ends where replay is.
with here as materialized (
  select
    case
      when pg_catalog.pg_is_in_recovery()
        then greatest(pg_catalog.pg_last_wal_receive_lsn(), pg_catalog.pg_last_wal_replay_lsn())
      else pg_catalog.pg_current_wal_lsn()
    end as position,
    case
      when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_last_wal_replay_lsn()
      else pg_catalog.pg_current_wal_lsn()
    end as done
),
setting as materialized (
  select
    pg_catalog.pg_size_bytes(pg_catalog.current_setting('wal_segment_size'))::float8 as segment_bytes,
    pg_catalog.pg_size_bytes(pg_catalog.current_setting('max_wal_size'))::float8 as max_wal_bytes,
    pg_catalog.pg_size_bytes(pg_catalog.current_setting('wal_keep_size'))::float8 as keep_bytes
),
segment as (
  select
    f.size::float8 as size,
    ('x' || pg_catalog.substr(f.name, 9, 8))::bit(32)::int8 * 4294967296.0::float8
      + ('x' || pg_catalog.substr(f.name, 17, 8))::bit(32)::int8 * g.segment_bytes as starts_at
  from pg_catalog.pg_ls_waldir() as f
  cross join setting as g
  where f.name ~ '^[0-9A-F]{24}$'
),
directory as (
  select
    coalesce(sum(s.size), 0) as directory_bytes,
    count(*) as files,
    coalesce(sum(s.size) filter (where s.starts_at > pg_catalog.pg_wal_lsn_diff(h.position, '0/0')), 0) as spare_bytes
  from segment as s
  cross join here as h
),
slot as (
  select
    s.slot_name,
    pg_catalog.pg_wal_lsn_diff(h.position, s.restart_lsn)::float8 as bytes
  from pg_catalog.pg_replication_slots as s
  cross join here as h
  where s.restart_lsn is not null
  order by
    s.restart_lsn,
    s.slot_name
  limit 1
)
select
  d.directory_bytes,
  d.files,
  d.spare_bytes,
  g.max_wal_bytes,
  g.keep_bytes,
  g.segment_bytes * (
    select count(*)
    from pg_catalog.pg_ls_archive_statusdir() as a
    where a.name ~ '^[0-9A-F]{24}[.]ready$'
  ) as archive_bytes,
  pg_catalog.pg_wal_lsn_diff(h.done, c.redo_lsn)::float8 as checkpoint_bytes,
  case
    when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_wal_lsn_diff(h.position, h.done)::float8
  end as replay_bytes,
  case
    when pg_catalog.pg_is_in_recovery()
      and pg_catalog.current_setting('recovery_min_apply_delay')::interval > interval '0'
      then pg_catalog.pg_wal_lsn_diff(h.position, h.done)::float8
    else 0
  end as delayed_bytes,
  {summarizer} as summarizer_bytes,
  s.bytes as slot_bytes,
  s.slot_name
from directory as d
cross join setting as g
cross join here as h
cross join pg_catalog.pg_control_checkpoint() as c
left join slot as s on true
"""

_NO_SUMMARIZER = "null::float8"
_SUMMARIZER = """(
    select pg_catalog.pg_wal_lsn_diff(h.position, z.summarized_lsn)::float8
    from pg_catalog.pg_get_wal_summarizer_state() as z
    where pg_catalog.current_setting('summarize_wal')::bool
  )"""

_SLOT = Template.parse('slot "{slot_name}" keeps {bytes}')
_KEEPERS = {
    "archive": "{bytes} wait to be archived",
    "checkpoint": "the last checkpoint began {bytes} ago",
    "replay": "{bytes} were received and are not replayed yet",
    "summarizer": "the summarizer is {bytes} behind",
    "keep": "wal_keep_size keeps {bytes}",
}
_REMEDIES = {
    "slot": "SELECT slot_name, slot_type, active, wal_status,"
    " pg_size_pretty(pg_wal_lsn_diff({here}, restart_lsn)) AS keeps"
    " FROM pg_replication_slots ORDER BY restart_lsn;  -- bring its consumer back, or drop it if that is gone for good",
    "archive": "SELECT last_failed_wal, last_failed_time, last_archived_wal, last_archived_time FROM pg_stat_archiver;"
    "  -- see archiver_failing; never delete files from pg_wal",
    "checkpoint": "CHECKPOINT;  -- then see in the log, with log_checkpoints, why it takes so long",
    "replay": "SELECT pg_is_wal_replay_paused(), pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn(),"
    " current_setting('recovery_min_apply_delay') AS delay;  -- see replication_lag",
    "summarizer": "SELECT * FROM pg_get_wal_summarizer_state();  -- the log says why; summarize_wal = off frees it",
    "keep": "SHOW wal_keep_size;  -- a slot with max_slot_wal_keep_size keeps what a standby needs and no more",
    "nothing": "SHOW max_wal_size;  -- nothing to do: files go with the next checkpoints",
}


def wal_directory_large(context: ProbeContext) -> Sequence[RawRow]:
    """One row: the size of pg_wal, what each holder keeps, and which keeps most."""
    summarizer = _SUMMARIZER if context.facts.version >= (17,) else _NO_SUMMARIZER
    seen = context.fetch(_SQL.replace("{summarizer}", summarizer), limit=1)[0]
    keeper, why = _keeper(seen)
    here = "pg_current_wal_lsn()" if context.facts.role == "primary" else "pg_last_wal_replay_lsn()"
    row: dict[str, object] = {name: value for name, value in seen.items() if name != "slot_name"}
    return [{**row, "keeper": keeper, "reason_kept": why, "remedy": _REMEDIES[keeper].replace("{here}", here)}]


def _keeper(seen: RawRow) -> tuple[str, str]:
    """Who keeps most of the used files, and that in words."""
    used = (number(seen["directory_bytes"]) or 0.0) - (number(seen["spare_bytes"]) or 0.0)
    names = ("slot", "archive", "checkpoint", "replay", "summarizer", "keep")
    kept = {name: held for name in names if (held := number(seen[f"{name}_bytes"])) is not None}
    most = max(kept, key=lambda name: kept[name])
    if kept[most] < used / 2:
        return "nothing", "nothing keeps it, it goes with the next checkpoints"
    if most == "slot":
        return most, _SLOT.render({"slot_name": text(seen["slot_name"]), "bytes": bytes_text(kept[most])})
    return most, _KEEPERS[most].replace("{bytes}", bytes_text(kept[most]))
