"""Three applications of the kind that people keep well: what their schemas are made of, and what is true of them.

A folder holds the tables in short (see `sketch`), what else a careful team has (`well_kept.sql`), and what we planted
(`planted.sql`): the comment beside each plant says what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.postgres.schemas.sketch import Sketch

_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Application:
    """`planted`, and `opinions` of the rules that are off: rule -> keys, without the database, of all it has to say."""

    folder: str
    database: str
    schema: str
    planted: Mapping[str, frozenset[str]]
    opinions: Mapping[str, frozenset[str]]

    @property
    def ddl(self) -> str:
        tables = Sketch(self.schema, self._text("tables.txt")).ddl()
        return f"CREATE SCHEMA {self.schema};\n{tables}\n{self._text('well_kept.sql')}"

    @property
    def planting(self) -> str:
        return self._text("planted.sql")

    def _text(self, name: str) -> str:
        return (_HERE / self.folder / name).read_text(encoding="utf-8")


SHOP = Application(
    folder="shop",
    database="shop",
    schema="shop",
    planted={
        "table_without_primary_key": frozenset({"shop.Bewegungen für €", "shop.import_rows", "shop.vouchers"}),
        "constraint_not_valid": frozenset({"shop.invoices.issued_late", "shop.refunds.refunds_order"}),
        "foreign_key_type_mismatch": frozenset({"shop.order_flags.order_flags_order_id_fkey"}),
        "duplicate_foreign_key": frozenset({"shop.shipments.shipments_order_again"}),
        "trigger_disabled": frozenset(
            {"shop.return_lines.return_lines_order_line_id_fkey", "shop.return_lines.return_lines_return_id_fkey"}
        ),
        "materialized_view_unpopulated": frozenset({"shop.slow_movers"}),
        "unsuitable_type": frozenset({"shop.gift_card_entries.fee"}),
        "duplicate_index": frozenset({"shop.orders.orders by number", "shop.payments.idx_payments_order_again"}),
        "foreign_key_without_index": frozenset({"shop.clicks.clicks_tag_id_fkey"}),
    },
    opinions={
        "nullable_foreign_key": frozenset({"shop.refunds.refunds_order"}),
        "unconventional_name": frozenset(
            {
                "shop.Bewegungen für €.table.Bewegungen für €",
                "shop.orders.index.orders by number",
                "shop.payments.index.idx_payments_order_again",
                "shop.site.table.site",
                "shop.Übersicht 2026.view.Übersicht 2026",
            }
        ),
    },
)
FORUM = Application(
    folder="forum",
    database="forum",
    schema="forum",
    planted={
        "table_without_primary_key": frozenset({'forum.Bilder "neu" 2', "forum.raw_mails"}),
        "policy_without_rls": frozenset({"forum.bookmarks"}),
        "rls_without_policy": frozenset({"forum.warnings"}),
        "policy_always_true": frozenset({"forum.searches.open_to_all"}),
        "security_definer_search_path": frozenset({"forum.promote(bigint)"}),
        "trigger_disabled": frozenset({"forum.messages.counted"}),
        "unsuitable_type": frozenset({"forum.polls.closes_daily"}),
        "constraint_not_valid": frozenset({"forum.handle.no_dots"}),
        "foreign_key_type_mismatch": frozenset({"forum.old_reads.old_reads_user_id_fkey"}),
        "unlogged_table": frozenset({"forum.likes_import"}),
    },
    opinions={
        "nullable_foreign_key": frozenset({"forum.old_reads.old_reads_user_id_fkey"}),
        "unconventional_name": frozenset(
            {
                'forum.Bilder "neu" 2.table.Bilder "neu" 2',
                "forum.Straße & Co.column.Nr.",
                "forum.Straße & Co.column.Straße",
                "forum.Straße & Co.column.order",
                "forum.Straße & Co.index.idx Straße order",
                "forum.Straße & Co.table.Straße & Co",
                "forum.Themen & Beiträge.view.Themen & Beiträge",
                "forum.bans.column.until",
                "forum.likes_import.table.likes_import",
                "forum.log_mould.table.log_mould",
                "forum.raw_mails_old.table.raw_mails_old",
                "forum.reports_saved.table.reports_saved",
                "forum.thread_users.column.posted",
                "forum.user_oauth.table.user_oauth",
                "forum.user_totp.table.user_totp",
            }
        ),
    },
)
TRACKER = Application(
    folder="tracker",
    database='issue "tracker"',
    schema='"Träcker"',
    planted={
        "tenant_table_without_rls": frozenset(
            {'Träcker.Notizen "Ü" 2.organization_id', "Träcker.meters.organization_id"}
        ),
        "policy_always_true": frozenset({"Träcker.goals.for_all"}),
        "table_without_primary_key": frozenset({"Träcker.imported"}),
        "constraint_not_valid": frozenset({"Träcker.activities.not_empty"}),
        "unsuitable_type": frozenset({"Träcker.builds.costs"}),
        "materialized_view_unpopulated": frozenset({"Träcker.Leer"}),
        "duplicate_index": frozenset({"Träcker.projects.uq_projects_again"}),
        "duplicate_foreign_key": frozenset({"Träcker.risks.risks level again"}),
        "foreign_key_type_mismatch": frozenset({"Träcker.risk_scores.risk_scores_risk_id_fkey"}),
        "trigger_disabled": frozenset({"Träcker.boards.old"}),
        "security_definer_search_path": frozenset({'Träcker.who "am" i(text, integer)'}),
    },
    opinions={
        "text_primary_key": frozenset({"Träcker.code_aliases", "Träcker.code_owners"}),
        "tiny_table_index": frozenset({"Träcker.users.idx_users_name_german"}),
        "unconventional_name": frozenset(
            {
                "Träcker.Auslastung je Nutzer.materialized view.Auslastung je Nutzer",
                "Träcker.Leer.materialized view.Leer",
                'Träcker.Notizen "Ü" 2.index.idx_notizen_organization_id',
                'Träcker.Notizen "Ü" 2.table.Notizen "Ü" 2',
                "Träcker.activities_2026_01.index.activities_2026_01_issue_id_idx",
                "Träcker.activities_2026_01.table.activities_2026_01",
                "Träcker.announcements.column.shown_from",
                "Träcker.imported.table.imported",
                "Träcker.issues.index.idx_issues_assignee",
                "Träcker.meters.column.at",
                "Träcker.presence.table.presence",
                "Träcker.users.index.idx_users_name_german",
                "Träcker.work_logs.column.Stunden",
            }
        ),
    },
)
APPLICATIONS = (SHOP, FORUM, TRACKER)
