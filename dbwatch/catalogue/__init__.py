"""The catalogue: check files, read once, checked as a whole, immutable afterwards."""

from dbwatch.catalogue.check import Check
from dbwatch.catalogue.loader import Catalogue, load_catalogue
from dbwatch.catalogue.measuring import Requires

__all__ = ["Catalogue", "Check", "Requires", "load_catalogue"]
