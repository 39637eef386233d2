"""What people are told of the end of a server."""

from __future__ import annotations

import pytest

from asyncdockerspawner.workloads.exit_status import ExitStatus


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (ExitStatus(code=0), "exited with code 0"),
        (ExitStatus(code=3), "exited with code 3"),
        (ExitStatus(code=125), "exited with code 125: the Engine could not run the container"),
        (ExitStatus(code=126), "exited with code 126: the command cannot be executed"),
        (ExitStatus(code=127), "exited with code 127: command not found"),
        (ExitStatus(code=127, error="exec: x"), "exited with code 127: command not found (exec: x)"),
        (ExitStatus(code=130), "was killed by signal 2"),
        (ExitStatus(code=137), "was killed by signal 9: stopped by force, or the machine ran out of memory"),
        (ExitStatus(code=139), "was killed by signal 11: segmentation fault"),
        (ExitStatus(code=143), "was killed by signal 15: asked to stop"),
        (ExitStatus(code=128), "exited with code 128"),
        (ExitStatus(code=255), "exited with code 255"),
        (ExitStatus(code=137, oom_killed=True), "was killed: out of memory"),
        (
            ExitStatus(code=137, oom_killed=True, memory_limit=2**30),
            "was killed: out of memory (limit 1 GiB)",
        ),
        (
            ExitStatus(code=0, oom_killed=True, memory_limit=3 * 2**29),
            "was killed: out of memory (limit 1.5 GiB)",
        ),
        (
            ExitStatus(code=1, oom_killed=True, memory_limit=512 * 2**20),
            "exited with code 1 after running out of memory (limit 512 MiB)",
        ),
        (
            ExitStatus(code=137, oom_killed=True, memory_limit=5000 * 2**40),
            "was killed: out of memory (limit 5000 TiB)",
        ),
    ],
)
def test_an_end_is_told_in_words(status: ExitStatus, sentence: str) -> None:
    assert str(status) == status.summary() == sentence


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (ExitStatus(code=137, oom_killed=True), "`mem_limit`"),
        (ExitStatus(code=127), "`cmd`"),
        (ExitStatus(code=126), "`cmd`"),
        (ExitStatus(code=1), ""),
    ],
)
def test_what_to_do_about_an_end_names_the_option(status: ExitStatus, advice: str) -> None:
    assert advice in status.advice
    assert bool(status.advice) is bool(advice)


def test_its_user_is_told_what_to_do_about_an_end_for_want_of_memory_and_of_no_other() -> None:
    assert "needs more memory" in ExitStatus(code=137, oom_killed=True).hint
    assert ExitStatus(code=137).hint == ""
