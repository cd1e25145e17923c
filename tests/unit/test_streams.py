"""A process that was started without one of its standard streams, as by a careless supervisor."""

from __future__ import annotations

import subprocess
import sys

import pytest

NOWHERE = "postgresql://127.0.0.1:1/none"


@pytest.mark.parametrize(
    ("words", "closed"),
    [(("serve", "--config", "/nonexistent.yaml"), "2>&-"), (("check", NOWHERE, "--sample", "0"), ">&- <&-")],
    ids=["serve-without-stderr", "check-without-stdout"],
)
def test_a_closed_stream_is_no_error_of_ours(words: tuple[str, ...], closed: str) -> None:
    argv = ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-m", "dbwatch", *words]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (3, "")
    assert "internal error" not in done.stderr
