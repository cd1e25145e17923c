"""dbwatch: the monitor people put next to their database."""

__version__ = "0.1.0"
