"""Which lines of a runbook dbwatch asks by itself, and how the answers read, whatever the server says."""

from __future__ import annotations

import pytest

from dbwatch.diagnose.ask import Reply
from dbwatch.diagnose.questions import Question, questions
from dbwatch.diagnose.text import replies_text
from dbwatch.engines.base import Answer
from dbwatch.engines.redis.commands import split_command
from dbwatch.errors import CheckError
from dbwatch.model import Engine, Reason
from tests.render.bundled_files import catalogue

ASKED = Question("select 1;", "select 1")


def test_what_needs_a_number_or_name_of_the_readers_is_left_to_them() -> None:
    """An invented process has no locks: `no rows` would be wrong."""
    sent = {question.sent for check in catalogue().of(Engine.POSTGRES) for question in questions(check)}
    assert len(sent) > 60
    for text in filter(None, sent):
        assert "12345" not in text
        assert not any(f"= '{name}'" in text for name in ("app", "schema", "shop", "table")), text


def test_a_servers_text_does_not_move_the_cursor() -> None:
    hostile = "evil\x1b[2J\x07\u202e"
    replies = [
        Reply(ASKED, Answer((hostile,), ((hostile,), (None,)))),
        Reply(ASKED, error=CheckError(Reason.ERROR, f'relation "{hostile}" does not exist')),
    ]
    lines = list(replies_text(replies))
    assert all(line.isprintable() for line in lines)
    assert sum("evil" in line for line in lines) == 3


def test_a_wide_answer_is_cut() -> None:
    wide = Answer(("query",), (("漢" * 5000,),))
    assert max(map(len, replies_text([Reply(ASKED, wide)]))) < 80


@pytest.mark.parametrize("text", ["CONFIG GET requirepass", "CONFIG GET save requirepass", "SLOWLOG GET 10"])
def test_what_redis_answers_with_secrets_or_data_is_for_its_own_client(text: str) -> None:
    with pytest.raises(CheckError, match="is for redis-cli"):
        split_command(text)


def test_a_harmless_setting_is_asked() -> None:
    assert split_command("config get save") == ("CONFIG GET", ("save",))
