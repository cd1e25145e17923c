"""What is committed is what the catalogue renders to, byte for byte: `make render` after a change of a check."""

from __future__ import annotations

from dbwatch.render import GENERATED
from tests.render.bundled_files import ROOT, rendered


def test_the_committed_files_are_the_generated_ones() -> None:
    stale = [path for path, text in rendered().items() if not _is(path, text)]
    assert stale == [], "run `make render`"


def test_no_generated_file_outlived_its_check() -> None:
    found = {str(path.relative_to(ROOT)) for pattern in GENERATED for path in ROOT.glob(pattern)}
    assert sorted(found - set(rendered())) == []


def test_every_generated_path_is_announced() -> None:
    announced = {
        path for pattern in GENERATED for path in rendered() if _depth(path) == _depth(pattern) and _fits(path, pattern)
    }
    assert announced == set(rendered())


def _is(path: str, text: str) -> bool:
    file = ROOT / path
    return file.is_file() and file.read_bytes() == text.encode()


def _depth(path: str) -> int:
    return path.count("/")


def _fits(path: str, pattern: str) -> bool:
    from fnmatch import fnmatchcase

    return fnmatchcase(path, pattern)
