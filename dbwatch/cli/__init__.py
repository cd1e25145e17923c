"""The `dbwatch` command. Owns mapping errors to exit codes; each sub-command has a module of its own."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence

from dbwatch import garbage
from dbwatch.errors import DbwatchError

EXIT_UNKNOWN = 3
_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; results on stdout, everything else on stderr. Returns the exit code."""
    if argv is None:
        garbage.put_off()

    import typer

    from dbwatch.cli.app import app

    try:
        result = app(args=list(argv) if argv is not None else None, prog_name="dbwatch", standalone_mode=False)
    except typer.TyperException as error:
        # A usage error shows the usage and how to get help. Its class has no public name in typer.
        show = getattr(error, "show", None)
        show(sys.stderr) if show is not None else print(f"dbwatch: {error}", file=sys.stderr)  # noqa: T201
        return EXIT_UNKNOWN
    except (KeyboardInterrupt, typer.Abort):
        return _INTERRUPTED
    except DbwatchError as error:
        print(f"dbwatch: {error}", file=sys.stderr)  # noqa: T201 - the one place that tells a person what was wrong
        return error.exit_code
    except SystemExit:
        # Only so does typer end here: the reader of our pipe has gone (`dbwatch check | head`); nothing is left to say.
        return EXIT_UNKNOWN
    except Exception:  # noqa: BLE001 - Python would exit with 1, which says "warning"
        from dbwatch.secret import scrub_all

        print(f"dbwatch: internal error\n{scrub_all(traceback.format_exc())}", file=sys.stderr)  # noqa: T201
        return EXIT_UNKNOWN
    return result if isinstance(result, int) else 0
