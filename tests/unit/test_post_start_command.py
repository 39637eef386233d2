"""The command after a start: its words, and whether it was written for a shell."""

from __future__ import annotations

import pytest

from asyncdockerspawner.errors import BadOption
from asyncdockerspawner.lifecycle.post_start import command_words


@pytest.mark.parametrize(
    ("command", "sign"),
    [
        ("a && b", "&&"),
        ("a || b", "||"),
        ("a | b", "|"),
        ("a;b", ";"),
        ("echo x > /y", ">"),
        ("echo $(id)", "$("),
        ("cd /x", "cd"),
        ("sh -c a && b", "&&"),
        (["a", "&&", "b"], "&&"),
        (["cd", "/x"], "cd"),
    ],
)
def test_what_only_a_shell_understands_is_hinted_at(command: str | list[str], sign: str) -> None:
    words, hint = command_words(command)
    assert words
    assert f"`{sign}`" in hint
    assert "sh -c" in hint


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("sh -c 'cd /x && a | b'", ["sh", "-c", "cd /x && a | b"]),
        ('bash -lc "a; \\"b\\" > c"', ["bash", "-lc", 'a; "b" > c']),
        (r"find . -exec rm {} \;", ["find", ".", "-exec", "rm", "{}", ";"]),
        ("curl http://x/?a=1&b=2", ["curl", "http://x/?a=1&b=2"]),
        ("/serve --cd", ["/serve", "--cd"]),
        (["awk", "-F", "|", "{print $1; print $2}"], ["awk", "-F", "|", "{print $1; print $2}"]),
        ([], []),
    ],
)
def test_what_a_program_understands_is_no_reason_for_a_hint(
    command: str | list[str], words: list[str]
) -> None:
    assert command_words(command) == (words, "")


def test_a_text_that_is_no_command_is_refused_with_the_option() -> None:
    with pytest.raises(BadOption, match='`post_start_cmd` is "it\'s", which is no command'):
        command_words("it's")
