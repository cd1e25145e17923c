"""The `dbwatch` command. Owns mapping errors to exit codes; each sub-command has a module of its own."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Final

from dbwatch import garbage
from dbwatch.errors import DbwatchError

EXIT_UNKNOWN = 3
_INTERRUPTED = 130
HANDED_OVER: Final = "DBWATCH_HANDED_OVER"
"""The variable by which `serve` finds again what it read, see `cli.handover`."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; results on stdout, everything else on stderr. Returns the exit code."""
    if argv is None:
        _fill_standard_streams()
        garbage.put_off()
    try:
        return _run(argv)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except DbwatchError as error:
        print(f"dbwatch: {error}", file=sys.stderr)  # noqa: T201 - the one place that tells a person what was wrong
        return error.exit_code
    except Exception:  # noqa: BLE001 - Python would exit with 1, which says "warning"
        from dbwatch.secret import scrub_all

        print(f"dbwatch: internal error\n{scrub_all(traceback.format_exc())}", file=sys.stderr)  # noqa: T201
        return EXIT_UNKNOWN


def _run(argv: Sequence[str] | None) -> int:
    if argv is None and HANDED_OVER in os.environ:
        from dbwatch.cli.handover import handed_over, is_handed_over

        if is_handed_over():
            from dbwatch.cli.serving import serve

            return serve(handed_over())

    import typer

    from dbwatch.cli.app import app

    try:
        result = app(args=list(argv) if argv is not None else None, prog_name="dbwatch", standalone_mode=False)
    except typer.TyperException as error:
        # A usage error shows the usage and how to get help. Its class has no public name in typer.
        show = getattr(error, "show", None)
        show(sys.stderr) if show is not None else print(f"dbwatch: {error}", file=sys.stderr)  # noqa: T201
        return EXIT_UNKNOWN
    except typer.Abort:
        return _INTERRUPTED
    except SystemExit:
        # Only so does typer end here: the reader of our pipe has gone (`dbwatch check | head`); nothing is left to say.
        return EXIT_UNKNOWN
    return result if isinstance(result, int) else 0


def _fill_standard_streams() -> None:
    """Where one was closed (`2>&-`), the next socket would take its number, and what a library prints there."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))
