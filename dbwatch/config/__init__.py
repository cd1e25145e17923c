"""The configuration: targets and defaults, validated as a whole, immutable afterwards.

What reads it is imported when it is read: it takes much, and who was handed a configuration does not need it.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from dbwatch.catalogue.collected import Collectors
from dbwatch.config.backups import Backups, Dumps
from dbwatch.config.host_place import HostPlace
from dbwatch.config.password import PasswordSource
from dbwatch.config.settled import Config
from dbwatch.config.target import Ignore, Target

__all__ = [
    "Backups",
    "Config",
    "Dumps",
    "HostPlace",
    "Ignore",
    "PasswordSource",
    "Target",
    "load_config",
    "load_wanted_collectors",
    "zero_config",
]


def load_config(path: Path, *, environ: Mapping[str, str] = os.environ) -> Config:
    """Read and settle a config file. Raises ConfigError with every problem at once."""
    from dbwatch.config import loader

    return loader.load_config(path, environ=environ)


def load_wanted_collectors(config: Config) -> Collectors:
    """Read what feeds the compatibility pages, if a target has any. Raises ConfigError."""
    if not any(target.compat for target in config.targets):
        return Collectors()
    from dbwatch.catalogue.collectors import load_collectors

    return load_collectors(config.check_directories)


def zero_config(urls: Sequence[str] = (), *, environ: Mapping[str, str] = os.environ) -> Config:
    """Targets from URLs, or from DATABASE_URL and REDIS_URL (also as *_FILE) when there are none."""
    from dbwatch.config import loader

    return loader.zero_config(urls, environ=environ)
