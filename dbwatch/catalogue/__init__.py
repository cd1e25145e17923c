"""The catalogue: check files, read once, checked as a whole, immutable afterwards.

What reads them is imported when they are read: it takes much, and who was handed a catalogue does not need it.
"""

from collections.abc import Sequence
from pathlib import Path

from dbwatch.catalogue.catalogue import Catalogue
from dbwatch.catalogue.check import Check
from dbwatch.catalogue.measuring import Requires

__all__ = ["Catalogue", "Check", "Requires", "load_catalogue"]


def load_catalogue(directories: Sequence[Path]) -> Catalogue:
    """Read every `<engine>/<name>.yaml` below the directories. Raises ConfigError with all problems."""
    from dbwatch.catalogue import loader

    return loader.load_catalogue(directories)
