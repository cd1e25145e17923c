"""The compatibility pages: what other exporters would say, from what the daemon's collectors have read."""

from dbwatch.exposition.compat.inventory import Supplied, Supply, inventory
from dbwatch.exposition.compat.pages import CompatPages, NoSuchPageError, NotCollectedError

__all__ = ["CompatPages", "NoSuchPageError", "NotCollectedError", "Supplied", "Supply", "inventory"]
