"""The catalogue: check files, read once, checked as a whole, immutable afterwards."""

from dbwatch.catalogue.check import Check, Requires
from dbwatch.catalogue.loader import Catalogue, load_catalogue

__all__ = ["Catalogue", "Check", "Requires", "load_catalogue"]
