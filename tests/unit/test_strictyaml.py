"""What YAML readers disagree on is refused with file and line; the rest reads as it is written."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dbwatch.errors import ConfigError, Problem
from dbwatch.strictyaml import MAX_BYTES, MAX_DEPTH, Document, read, read_file


def refused(text: str | bytes, tags: frozenset[str] = frozenset()) -> Problem:
    with pytest.raises(ConfigError) as caught:
        read(text, "x.yaml", tags=tags)
    (problem,) = caught.value.problems
    assert problem.file == "x.yaml"
    assert str(problem).startswith(f"x.yaml:{problem.line}: ")
    return problem


def test_plain_values_read_as_json_would() -> None:
    text = """
a: text
b: 1
c: -2.5
d: true
e: false
f: null
g: ~
h:
i: [1, two, 3.0, {k: v}]
j: "010"
k: 'on'
l: |
  line 1
  line 2
m: 2027-01-01
n: 1e3
o: 10.0.0.1
p: a:b
q: +5
"""
    assert read(text, "x").data == {
        "a": "text",
        "b": 1,
        "c": -2.5,
        "d": True,
        "e": False,
        "f": None,
        "g": None,
        "h": None,
        "i": [1, "two", 3.0, {"k": "v"}],
        "j": "010",
        "k": "on",
        "l": "line 1\nline 2\n",
        "m": "2027-01-01",
        "n": 1000.0,
        "o": "10.0.0.1",
        "p": "a:b",
        "q": 5,
    }


@pytest.mark.parametrize(
    ("value", "part"),
    [
        ("on", "boolean"),
        ("no", "boolean"),
        ("Yes", "boolean"),
        ("OFF", "boolean"),
        ("y", "boolean"),
        ("True", "lower case"),
        ("NULL", "lower case"),
        ("1:30", "base-60"),
        ("12:30:45", "base-60"),
        ("010", "octal"),
        ("0o17", "octal"),
        ("0x1F", "hexadecimal"),
        ("1_000", "the _"),
        (".inf", "finite"),
        ("-.NaN", "finite"),
        ("1e999", "too large"),
        ("9" * 30, "too large"),
        ("9" * 5000, "too large"),
    ],
)
@pytest.mark.parametrize("shape", ["# c\nk: {}\n", "# c\nk: [{}]\n", "# c\n- {}\n", "# c\nk: {{a: {}}}\n"])
def test_a_value_that_readers_disagree_on_is_refused_with_a_remedy(value: str, part: str, shape: str) -> None:
    problem = refused(shape.format(value))
    assert problem.line == 2
    assert part in str(problem)
    assert problem.hint is not None


@pytest.mark.parametrize("value", ["on", "1:30", "010", "True", ".inf", "1_000", "9" * 30])
def test_the_same_value_in_quotes_is_a_text(value: str) -> None:
    assert read(f'k: "{value}"', "x").data == {"k": value}


@pytest.mark.parametrize(
    ("text", "line", "path", "part"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "a", "given twice, first on line 1"),
        ("x:\n  a: 1\n  'a': 2\n", 3, "x.a", "given twice, first on line 2"),
        ("x: {a: 1, a: 2}\n", 1, "x.a", "given twice"),
        ("l:\n- {a: 1}\n- {b: 1, b: 1}\n", 3, "l[1].b", "given twice"),
        ("a: &x 1\n", 1, "a", "anchor"),
        ("a: &x {b: 1}\n", 1, "a", "anchor"),
        ("a: &x [1]\n", 1, "a", "anchor"),
        ("&x a: 1\n", 1, "", "anchor"),
        ("a: 1\nb: *a\n", 2, "b", "alias"),
        ("*a : 1\n", 1, "", "alias"),
        ("a: !!str 1\n", 1, "a", "the tag"),
        ("a: !!python/object/apply:os.system [id]\n", 1, "a", "the tag"),
        ("a: !x {b: 1}\n", 1, "a", "the tag"),
        ("a: !file\n- 1\n", 1, "a", "the tag"),
        ("!!str a: 1\n", 1, "", "the tag"),
        ("a:\n  <<: {b: 1}\n", 2, "a", "merge key"),
        ("? [a]\n: 1\n", 1, "", "as a key"),
        ("? {a: b}\n: 1\n", 1, "", "as a key"),
        ("a: 1\n---\nb: 2\n", 2, "", "second document"),
        ("a: 1\nb: x\0y\n", 2, "", "U+0000"),
        ('a: 1\nb: "x\\0y"\n', 2, "b", "NUL"),
        ('a: 1\nb: "\\ud800"\n', 2, "b", "half a character"),
        ('a: 1\nb: "\\UFFFFFFFF"\n', 1, "", "means nothing"),
        ("a: 1\n\tb: 2\n", 2, "", "not valid YAML"),
        ("a: [1,\nb: 2\n", 3, "", "not valid YAML"),
        ("a: 'open\n", 2, "", "not valid YAML"),
        ("%TAG ! tag:evil,2000:\n---\na: !file x\n", 3, "a", "the tag"),
        (f"%YAML {'1' * 5000}.1\n---\na: 1\n", 1, "", "means nothing"),
    ],
)
def test_it_is_refused_at_its_line(text: str, line: int, path: str, part: str) -> None:
    problem = refused(text, frozenset({"!file"}))
    assert (problem.line, problem.path) == (line, path)
    assert part in str(problem)


def test_an_allowed_tag_marks_a_scalar() -> None:
    tags = frozenset({"!file"})
    assert read("a: !file /run/x\nb: [!file on]\n", "x", tags=tags).data == {
        "a": {"!file": "/run/x"},
        "b": [{"!file": "on"}],
    }
    assert "!file" in str(refused("a: !file /run/x\n"))


@pytest.mark.parametrize("bomb", ["[" * 5000, "[" * 5000 + "]" * 5000, "{a: " * 5000, "- " * 5000, "? " * 5000])
def test_a_depth_bomb_is_refused(bomb: str) -> None:
    assert "nested deeper" in str(refused(bomb)) or "as a key" in str(refused(bomb))


def test_the_deepest_allowed_nesting_is_read() -> None:
    assert isinstance(read("[" * MAX_DEPTH + "]" * MAX_DEPTH, "x").data, list)
    assert refused("\n" + "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1)).line == 2


def test_too_many_bytes_are_refused_unread() -> None:
    problem = refused(b"#" * (MAX_BYTES + 1))
    assert "larger than 1024 KiB" in str(problem)
    assert read(b"#" * MAX_BYTES, "x").data is None


@pytest.mark.parametrize(
    ("raw", "line"),
    [(b"a: 1\nb: \xff\n", 2), ("a: ü\n".encode("latin-1"), 1), ("a: 1\n".encode("utf-16"), 1), ("a: \ud800\n", 1)],
)
def test_what_is_not_utf8_is_refused(raw: bytes | str, line: int) -> None:
    problem = refused(raw)
    assert problem.message == "is not UTF-8"
    assert problem.line == line


def test_a_byte_order_mark_and_windows_line_ends_are_read() -> None:
    document = read(b"\xef\xbb\xbfa: 1\r\nb:\r\n  c: 2\r\n", "x")
    assert document.data == {"a": 1, "b": {"c": 2}}
    assert document.line(("b", "c")) == 3
    assert refused(b"a: 1\r\nb: on\r\n").line == 2


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "null\n"])
def test_an_empty_document_is_nothing_on_line_one(text: str) -> None:
    document = read(text, "x.yaml")
    assert document.data is None
    assert str(document.problem((), "is empty")) == "x.yaml:1: is empty"


def test_a_path_has_the_line_of_its_key() -> None:
    document = read("a:\n  b:\n    - x\n    - c: |\n        text\n      d:\n        e: 1\n", "x")
    lines = {
        ("a",): 1,
        ("a", "b"): 2,
        ("a", "b", 0): 3,
        ("a", "b", 1): 4,
        ("a", "b", 1, "c"): 4,
        ("a", "b", 1, "d"): 6,
        ("a", "b", 1, "d", "e"): 7,
    }
    assert {path: document.line(path) for path in lines} == lines
    assert document.line(("a", "b", 7, "missing")) == 2
    assert str(document.problem(("a", "b", 1, "d"), "is wrong", "fix it")) == "x:6: a.b[1].d: is wrong (fix it)"


def test_a_file_that_cannot_be_read_is_a_problem_with_its_name(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.yaml", tmp_path):
        with pytest.raises(ConfigError, match=f"{path}: cannot be read: ") as caught:
            read_file(path)
        assert "check its path" in str(caught.value)


def test_an_endless_file_is_refused() -> None:
    with pytest.raises(ConfigError, match="larger than"):
        read_file(Path("/dev/zero"))


CHARACTERS = "abc:- ,[]{}&*!|>'\"%@`#?~\n\t\\\x85\u2028\ufeff\0"
WORDS = [
    "\n  ",
    "a: ",
    "- ",
    "<<: ",
    "!file ",
    "---\n",
    "...\n",
    "\r\n",
    '"\\x',
    '"\\u',
    '"\\U',
    "%YAML 1.1\n",
    "%TAG ",
    "!<",
]
PIECES = st.sampled_from([*CHARACTERS, *WORDS])


@given(st.one_of(st.text(max_size=300), st.lists(PIECES, max_size=60).map("".join), st.binary(max_size=200)))
@example("? ")
@example('"\\N\\_\\L\\P\\e"')
@example("!<!> a")
@example("a: !%ff b")
def test_any_text_is_a_document_or_a_problem_with_a_line(text: str | bytes) -> None:
    problems: tuple[Problem, ...] = ()
    try:
        document = read(text, "fuzz.yaml", tags=frozenset({"!file"}))
    except ConfigError as error:
        problems = error.problems
    else:
        assert isinstance(document, Document)
        assert all(line > 0 for line in document.lines.values())
    for problem in problems:
        assert problem.file == "fuzz.yaml"
        assert problem.line is not None
        assert 0 < problem.line <= len(text) + 1
