"""Owns the list of sub-commands and their options. Imports of what they need happen when they run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from dbwatch import __version__
from dbwatch.report.format import Format

app = typer.Typer(
    name="dbwatch",
    help="The monitor you put next to your database.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

ConfigOption = Annotated[
    Optional[Path],  # noqa: UP045 - typer reads this at run time
    # readable=False here and below: we try, and say what is wrong in our own words.
    typer.Option(
        "--config", "-c", envvar="DBWATCH_CONFIG", help="Configuration file.", show_default=False, readable=False
    ),
]
LogLevel = Annotated[str, typer.Option("--log-level", help="debug, info, warning or error.")]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"dbwatch {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and leave.")
    ] = False,
) -> None:
    """Health checks, metrics, alerts and fixes for PostgreSQL and Redis."""


@app.command("check")
def check_command(
    targets: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Argument(help="URLs or target names of the configuration.", show_default=False),
    ] = None,
    config: ConfigOption = None,
    check: Annotated[list[str], typer.Option("--check", help="Only these checks; names or globs.")] = [],  # noqa: B006
    group: Annotated[list[str], typer.Option("--group", help="Only these groups.")] = [],  # noqa: B006
    exclude: Annotated[list[str], typer.Option("--exclude", help="Not these checks; names or globs.")] = [],  # noqa: B006
    database: Annotated[list[str], typer.Option("--database", help="Only these databases; globs.")] = [],  # noqa: B006
    rows: Annotated[bool, typer.Option("--rows", help="Show every measured row, not only findings.")] = False,
    sample: Annotated[
        float, typer.Option("--sample", min=0, max=3600, help="Seconds between two readings of counters; 0: read once.")
    ] = 1.0,
    output_format: Annotated[Format, typer.Option("--format", "-f", help="How to report.")] = Format.TEXT,
    output: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--output", "-o", help="Write the report to this file.", show_default=False, readable=False),
    ] = None,
    fail_on: Annotated[
        str, typer.Option("--fail-on", help="warning or critical: from where on to exit non-zero.")
    ] = "warning",
    baseline: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "--baseline", help="Mark what is new since this file was recorded; records it when it is not there."
        ),
    ] = None,
    update_baseline: Annotated[
        bool, typer.Option("--update-baseline", help="Record the baseline anew after comparing.")
    ] = False,
    fail_on_new: Annotated[
        bool, typer.Option("--fail-on-new", help="Exit non-zero only for what the baseline does not have.")
    ] = False,
    no_color: Annotated[bool, typer.Option("--no-color", help="Plain text, also on a terminal.")] = False,
    log_level: LogLevel = "error",
) -> int:
    """Run the checks once and report. Exit code 0 ok, 1 warning, 2 critical, 3 unknown."""
    from dbwatch.adhoc import Selection
    from dbwatch.cli.check import CheckOptions, run_check

    options = CheckOptions(
        names=tuple(targets or ()),
        config=config,
        selection=Selection(tuple(check), tuple(group), tuple(exclude), tuple(database)),
        rows=rows,
        sample_seconds=sample,
        format=output_format,
        output=output,
        fail_on=fail_on,
        color=False if no_color else None,
        log_level=log_level,
        baseline=baseline,
        update_baseline=update_baseline,
        fail_on_new=fail_on_new,
    )
    return run_check(options)


@app.command("serve")
def serve_command(
    targets: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Argument(help="URLs; without them the configuration or DATABASE_URL and REDIS_URL.", show_default=False),
    ] = None,
    config: ConfigOption = None,
    listen: Annotated[
        str, typer.Option("--web.listen-address", envvar="DBWATCH_LISTEN_ADDRESS", help="host:port to serve HTTP on.")
    ] = "127.0.0.1:10187",
    web_config: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "--web.config.file",
            envvar="DBWATCH_WEB_CONFIG_FILE",
            help="TLS, client certificates and passwords for HTTP, in exporter-toolkit's format.",
            show_default=False,
            readable=False,
        ),
    ] = None,
    enable_reload: Annotated[bool, typer.Option("--web.enable-reload", help="Allow POST /-/reload.")] = False,
    shard: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            "--shard",
            envvar="DBWATCH_SHARD",
            help="i/n: of n daemons with this configuration, watch the targets of the i-th, from 0.",
            show_default=False,
        ),
    ] = None,
    log_level: LogLevel = "info",
    log_format: Annotated[str, typer.Option("--log-format", help="auto, json or console.")] = "auto",
) -> int:
    """Run the checks on their schedule and serve /metrics, the status page and the JSON document."""
    from dbwatch.cli.serve import run_serve

    return run_serve(tuple(targets or ()), config, listen, web_config, enable_reload, log_level, log_format, shard)


@app.command("validate")
def validate_command(
    files: Annotated[
        Optional[list[Path]],  # noqa: UP045
        typer.Argument(help="Check files or directories of check files.", show_default=False, readable=False),
    ] = None,
    config: ConfigOption = None,
) -> int:
    """Read the configuration and the check files; say every problem with its file and line."""
    from dbwatch.cli.catalogue import run_validate

    return run_validate(config, tuple(files or ()))


@app.command("list")
def list_command(
    config: ConfigOption = None,
    output_format: Annotated[str, typer.Option("--format", "-f", help="text or json.")] = "text",
) -> int:
    """The catalogue: every check with its group, interval, requirements and thresholds."""
    from dbwatch.cli.catalogue import run_list

    return run_list(config, output_format)


@app.command("explain")
def explain_command(
    name: Annotated[str, typer.Argument(help="A check or an alert.")],
    config: ConfigOption = None,
    target: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            "--target",
            help="A URL or a target of the configuration: ask it the read-only questions of the diagnosis.",
            show_default=False,
        ),
    ] = None,
) -> int:
    """What a check or an alert means, its impact, how to diagnose and how to mend. Works offline."""
    from dbwatch.cli.explain import run_explain

    return run_explain(config, name, target)


@app.command("doctor")
def doctor_command(
    targets: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Argument(help="URLs or target names of the configuration.", show_default=False),
    ] = None,
    config: ConfigOption = None,
    platform: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            "--platform",
            help="Where it runs, if that does not show: postgresql, rds, aurora, cloudsql, azure, supabase or neon.",
            show_default=False,
        ),
    ] = None,
    output_format: Annotated[str, typer.Option("--format", "-f", help="text or json.")] = "text",
    no_color: Annotated[bool, typer.Option("--no-color", help="Plain text, also on a terminal.")] = False,
    log_level: LogLevel = "error",
) -> int:
    """What this role may see, and the statements that grant the rest. Exit code 0 all, 1 not all, 3 unreachable."""
    from dbwatch.cli.doctor import run_doctor

    return run_doctor(
        tuple(targets or ()),
        config,
        platform,
        output_format,
        color=False if no_color else None,
        log_level=log_level,
    )


@app.command("grants")
def grants_command(
    engine: Annotated[str, typer.Option("--engine", help="postgres or redis.")] = "postgres",
    user: Annotated[str, typer.Option("--user", help="Name of the monitoring role.")] = "dbwatch",
) -> int:
    """The least-privilege set-up script for the monitoring role."""
    from dbwatch.cli.catalogue import run_grants

    return run_grants(engine, user)


@app.command("schema")
def schema_command(
    kind: Annotated[str, typer.Argument(help="config or check.")] = "check",
) -> int:
    """The JSON Schema of the configuration or of a check file."""
    from dbwatch.cli.catalogue import run_schema

    return run_schema(kind)


@app.command("render")
def render_command(
    config: ConfigOption = None,
    out: Annotated[
        Path, typer.Option("--out", help="Directory to write alerts/, dashboards/ and docs/ into.")
    ] = Path(),
    verify: Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 when a file differs.")] = False,
    prune: Annotated[
        bool, typer.Option("--prune", help="Also remove rules, dashboards and pages there that are not rendered.")
    ] = False,
) -> int:
    """Write alert rules, dashboards and check pages from the catalogue."""
    from dbwatch.cli.catalogue import run_render

    return run_render(config, out, verify, prune)


@app.command("compat")
def compat_command(
    url: Annotated[str, typer.Argument(help="The page of an exporter, like http://db:9187/metrics.")],
    output_format: Annotated[str, typer.Option("--format", "-f", help="text or json.")] = "text",
) -> int:
    """Which families of a running exporter dbwatch supplies, under which name, and which it leaves out."""
    from dbwatch.cli.compat import run_compat

    return run_compat(url, output_format)


@app.command("demo")
def demo_command(
    once: Annotated[bool, typer.Option("--once", help="End after the report.")] = False,
    listen: Annotated[
        str, typer.Option("--web.listen-address", help="host:port to serve HTTP on.")
    ] = "127.0.0.1:10187",
) -> int:
    """An embedded PostgreSQL and Redis with planted faults, watched live."""
    from dbwatch.demo import run_demo

    return run_demo(once, listen)
