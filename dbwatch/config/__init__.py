"""The configuration: targets and defaults, validated as a whole, immutable afterwards."""

from dbwatch.config.backups import Backups, Dumps
from dbwatch.config.host_place import HostPlace
from dbwatch.config.loader import Config, load_config, zero_config
from dbwatch.config.password import PasswordSource
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
    "zero_config",
]
