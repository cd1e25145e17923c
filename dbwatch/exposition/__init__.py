"""The metrics page: bytes rendered when a check finishes, joined and sent when somebody asks."""

from dbwatch.exposition.block import Format
from dbwatch.exposition.compat import CompatPages, NoSuchPageError, NotCollectedError
from dbwatch.exposition.negotiation import negotiate
from dbwatch.exposition.once import render_outcomes
from dbwatch.exposition.page import Exposition
from dbwatch.exposition.process import SchedulerState

__all__ = [
    "CompatPages",
    "Exposition",
    "Format",
    "NoSuchPageError",
    "NotCollectedError",
    "SchedulerState",
    "negotiate",
    "render_outcomes",
]
