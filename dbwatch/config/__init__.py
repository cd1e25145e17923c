"""The configuration: targets and defaults, validated as a whole, immutable afterwards."""

from dbwatch.config.loader import Config, load_config, zero_config
from dbwatch.config.password import PasswordSource
from dbwatch.config.target import Dumps, Ignore, Target

__all__ = ["Config", "Dumps", "Ignore", "PasswordSource", "Target", "load_config", "zero_config"]
