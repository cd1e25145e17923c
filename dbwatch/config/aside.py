"""Owns reading the configuration in a process of its own, which ends when it has been read. Knows no format.

What reading takes (pydantic, YAML, the checks of engines that nobody watches) is 15 MB that a daemon has no use for
between two reloads. The other process has the same interpreter, import path, environment and working directory; what it
says, `dbwatch validate` says too.
"""

from __future__ import annotations

import contextlib
import io
import pickle
import subprocess
import sys
import traceback
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeAlias, cast

from dbwatch import __version__, garbage
from dbwatch.catalogue import Catalogue
from dbwatch.config import load_config, load_wanted_collectors, zero_config
from dbwatch.config.settled import Config
from dbwatch.errors import ConfigError, Problem
from dbwatch.secret import Secret, scrub_all

Answer: TypeAlias = Config | tuple[Problem, ...] | str
"""A configuration; or what is wrong with it; or how reading it failed."""

MOST_SECONDS: Final = 60.0
"""A directory of checks on a dead network disk, or a pipe as a file, would hold every later reload too."""
_ENTRY: Final = "import sys; sys.path[:] = sys.argv[1:]; from dbwatch.config.aside import main; main()"


@dataclass(frozen=True, slots=True)
class Source:
    """Where the configuration comes from: a file, or else URLs, or else the environment."""

    path: Path | None
    urls: tuple[str, ...] = ()

    def read(self) -> Answer:
        """Read it here, with the collectors, as far as a daemon has a use for it."""
        try:
            config = load_config(self.path) if self.path is not None else zero_config(self.urls)
            return replace(config, catalogue=_of_use(config), collectors=load_wanted_collectors(config))
        except ConfigError as error:
            return error.problems
        except Exception:  # noqa: BLE001 - who asked is the one to say it
            return scrub_all(traceback.format_exc())

    def read_aside(self) -> Answer:
        """Read it in another process; or here, where there cannot be one."""
        argv = [sys.executable, "-P", "-c", _ENTRY, *sys.path]
        try:
            # A Ctrl-C in the terminal is for the daemon, not for both.
            done = subprocess.run(
                argv,
                input=pickled(self),
                stdout=subprocess.PIPE,
                check=False,
                start_new_session=True,
                timeout=MOST_SECONDS,
            )
        except subprocess.TimeoutExpired:
            return self._not_read(f"it took longer than {MOST_SECONDS:g} s", "is it on a disk that does not answer?")
        except OSError:
            return self.read()
        if done.returncode != 0:
            hint = "it takes 50 MB for a second; a memory limit may have ended it"
            return self._not_read(f"the process that reads it ended with {done.returncode}", hint)
        said = io.BytesIO(done.stdout)
        version = pickle.load(said)  # noqa: S301 - by our own process
        if version != __version__:
            return self._not_read(f"dbwatch {version} was installed over the {__version__} that runs", "restart it")
        return cast("Answer", pickle.load(said))  # noqa: S301

    def _not_read(self, why: str, hint: str) -> Answer:
        place = str(self.path) if self.path is not None else "command line"
        return (Problem(place, None, "", f"was not read: {why}", hint),)


def settle(answer: Answer) -> Config:
    """The configuration. Raises ConfigError with every problem."""
    if isinstance(answer, Config):
        return answer
    if isinstance(answer, tuple):
        raise ConfigError(answer)
    raise RuntimeError(f"the configuration was not read:\n{answer}")


def main() -> None:
    """The other process: a source on its input, its version and the answer on its output."""
    garbage.put_off()
    die_first()
    source = cast("Source", pickle.load(sys.stdin.buffer))  # noqa: S301 - by our own process
    sys.stdout.buffer.write(pickled(__version__) + pickled(source.read()))


def die_first() -> None:
    """Where memory runs out the kernel ends the largest process, which would be the daemon: this one offers itself."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def pickled(thing: object) -> bytes:
    stream = io.BytesIO()
    _Pickler(stream, pickle.HIGHEST_PROTOCOL).dump(thing)
    return stream.getvalue()


class _Pickler(pickle.Pickler):
    """A secret is not pickled; between processes of ours, which share one user and one memory file, it may be."""

    def reducer_override(self, obj: object) -> tuple[type[Secret], tuple[str]]:
        return (Secret, (obj.reveal(),)) if isinstance(obj, Secret) else NotImplemented


def _of_use(config: Config) -> Catalogue:
    """The checks of the engines that are watched. A reload that brings another engine reads them all again."""
    watched = {target.engine for target in config.targets}
    return Catalogue({key: check for key, check in config.catalogue.checks.items() if check.engine in watched})
