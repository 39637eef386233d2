"""Programs that are forked with their imports done, as the tests of the Hub see them."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.testbed.preloaded import Forked, Parent
from tests.testbed.steps import wait_until

PROGRAM = """
import os, sys, signal
own = os.getsid(0) == os.getpid()
print(sys.argv[1:], sys.path[0], os.environ.get("SAID"), own, "jupyterhub" in sys.modules, flush=True)
if "wait" in sys.argv:
    signal.pause()
sys.exit(3)
"""


def started(folder: Path, parent: Parent, *words: str) -> Forked:
    (folder / "program.py").write_text(PROGRAM)
    return parent.start("program", words, folder / "log", {"SAID": "so"}, folder)


def told(folder: Path) -> bool:
    """Whether the program has begun."""
    return (folder / "log").exists() and bool((folder / "log").read_text())


def test_a_program_has_words_folder_environment_and_session_of_its_own(tmp_path: Path) -> None:
    parent = Parent()
    assert started(tmp_path, parent, "one", "two").wait(60) == 3
    assert (tmp_path / "log").read_text() == f"['one', 'two'] {tmp_path} so True True\n"
    parent.close()


def test_a_signal_that_ends_a_program_is_told(tmp_path: Path) -> None:
    parent = Parent()
    program = started(tmp_path, parent, "wait")
    assert wait_until(lambda: told(tmp_path), 60)
    assert program.poll() is None
    program.terminate()
    assert program.wait(60) == -signal.SIGTERM
    parent.close()


def test_programs_end_with_their_parent(tmp_path: Path) -> None:
    parent = Parent()
    program = started(tmp_path, parent, "wait")
    assert wait_until(lambda: told(tmp_path), 60)
    parent.close()
    assert wait_until(lambda: not Path(f"/proc/{program.pid}/cmdline").exists(), 60)
