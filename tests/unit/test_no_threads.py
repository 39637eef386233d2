"""The guards against threads and executors: each catches a planted one, and finds none in what we ship."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import sys
import threading  # noqa: TID251 - to plant one
import tomllib
from pathlib import Path

import pytest

from tests.support import guards

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "asyncdockerspawner"
SOURCES = sorted(PACKAGE.rglob("*.py"))


def run(*command: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in command], cwd=cwd, capture_output=True, text=True, check=False
    )


def banned(source: Path) -> list[str]:
    """What the project's ruff says about banned names in a file."""
    lint = (sys.executable, "-m", "ruff", "check", "--no-cache", "--config", ROOT / "pyproject.toml")
    answer = run(*lint, "--output-format", "json", source)
    assert answer.stderr == ""
    return [found["message"] for found in json.loads(answer.stdout) if found["code"] == "TID251"]


@pytest.mark.parametrize(
    ("planted", "named"),
    [
        ("import threading\n\nlock = threading.Lock()\n", "threading"),
        ("from concurrent.futures import ThreadPoolExecutor\n\npool = ThreadPoolExecutor()\n", "concurrent"),
        ("import asyncio\n\nwork = asyncio.to_thread(print)\n", "asyncio.to_thread"),
        ('import asyncio\n\nwork = asyncio.create_subprocess_exec("x")\n', "asyncio.create_subprocess_exec"),
        ('from asyncio import create_subprocess_shell as go\n\nwork = go("x")\n', "create_subprocess_shell"),
    ],
    ids=["threading", "futures", "to-thread", "exec", "shell"],
)
def test_the_linter_catches_a_planted_name(tmp_path: Path, planted: str, named: str) -> None:
    source = tmp_path / "planted.py"
    source.write_text("import asyncio\n\nlock = asyncio.Lock()\n")
    assert banned(source) == []
    source.write_text(planted)
    assert any(f"`{named}" in message or f".{named}" in message for message in banned(source))


def contract(folder: Path) -> subprocess.CompletedProcess[str]:
    """Hold the project's contract "No thread, no executor" against the package in a folder."""
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    found = next(one for one in tool.pop("contracts") if one["name"] == "No thread, no executor")
    lines = ["[importlinter]", *_ini(tool), "[importlinter:contract:threads]", *_ini(found)]
    (folder / ".importlinter").write_text("\n".join(lines))
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    return run(sys.executable, "-c", program, "--no-cache", cwd=folder)


def _ini(words: dict[str, object]) -> list[str]:
    return [
        f"{key} = " + ("\n    ".join(["", *value]) if isinstance(value, list) else str(value))
        for key, value in words.items()
    ]


@pytest.mark.parametrize(
    ("module", "planted"),
    [("names/naming", "threading"), ("client/events", "concurrent.futures"), ("engine/watch", "subprocess")],
)
def test_the_import_contract_catches_a_planted_import(tmp_path: Path, module: str, planted: str) -> None:
    shutil.copytree(PACKAGE, tmp_path / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
    kept = contract(tmp_path)
    assert kept.returncode == 0, kept.stdout + kept.stderr
    assert "No thread, no executor KEPT" in kept.stdout
    source = tmp_path / PACKAGE.name / f"{module}.py"
    source.write_text(f"{source.read_text()}\nimport {planted}\n")
    broken = contract(tmp_path)
    assert broken.returncode == 1
    assert "No thread, no executor BROKEN" in broken.stdout
    dotted = module.replace("/", ".")
    assert f"asyncdockerspawner.{dotted} -> {planted.partition('.')[0]}" in broken.stdout


@pytest.mark.parametrize("source", SOURCES, ids=[str(source.relative_to(PACKAGE)) for source in SOURCES])
def test_no_source_reaches_for_an_executor(source: Path) -> None:
    assert guards.executor_uses(source.read_text()) == []


@pytest.mark.parametrize(
    ("planted", "found"),
    [
        ("async def f(loop):\n    await loop.run_in_executor(None, g)\n", ["2: run_in_executor"]),
        ("asyncio.get_running_loop().set_default_executor(pool)\n", ["1: set_default_executor"]),
        ("import asyncio as a\nx = a.to_thread\n", ["2: to_thread"]),
        ("from asyncio import to_thread as t\nt(g)\n", ["1: to_thread"]),
        ("from asyncio import *\nto_thread(g)\n", ["2: to_thread"]),
        ("getattr(loop, 'run_in_executor')(None, g)\n", ["1: run_in_executor"]),
        ("# run_in_executor\nx = 'never to_thread'\n", []),
    ],
)
def test_the_reader_of_sources_catches_a_planted_use(planted: str, found: list[str]) -> None:
    assert guards.executor_uses(planted) == found


async def test_the_fixtures_guard_refuses_a_job_for_the_executor() -> None:
    loop = asyncio.get_running_loop()
    with guards.no_threads(loop):
        with pytest.raises(AssertionError, match="was given to an executor"):
            await loop.run_in_executor(None, print)
        with pytest.raises(AssertionError, match="was given to an executor"):
            await asyncio.to_thread(print)  # noqa: TID251 - planted
        # What asks for names without saying so.
        with pytest.raises(AssertionError, match="getaddrinfo"):
            await loop.getaddrinfo("localhost", 80)


async def test_the_fixtures_guard_notices_a_thread() -> None:
    end = threading.Event()
    planted = threading.Thread(target=end.wait, name="planted")
    guard = guards.no_threads(asyncio.get_running_loop())
    guard.__enter__()
    planted.start()
    try:
        with pytest.raises(AssertionError, match="planted"):
            guard.__exit__(None, None, None)
    finally:
        end.set()
        planted.join()
    with guards.no_threads(asyncio.get_running_loop()):
        assert threading.active_count() >= 1


PLANTED = {
    "nothing": "await asyncio.sleep(0)",
    "executor": "await asyncio.get_running_loop().run_in_executor(None, print)",
    "no_thread": "__import__('threading').Thread(target=print, args=('x',)).run()",
    "thread": "__import__('threading').Timer(5, print).start()",
    "task": "asyncio.get_running_loop().planted = asyncio.create_task(asyncio.sleep(9))",
}
PLANTED_TEST = """

async def test_{name}():
    {planted}
"""


def test_the_fixture_of_the_engine_tests_fails_a_planted_test(tmp_path: Path) -> None:
    source = tmp_path / "test_planted.py"
    tests = (PLANTED_TEST.format(name=name, planted=planted) for name, planted in PLANTED.items())
    source.write_text("import asyncio\n" + "".join(tests))
    pytest_ = (sys.executable, "-m", "pytest", "-qrA", "-p", "no:cacheprovider", "-c", "pyproject.toml")
    answer = run(*pytest_, "--rootdir", ROOT, "-p", "tests.engine.conftest", source)
    told = re.findall(r"^([A-Z]+) \S*::test_(\w+)", answer.stdout, re.MULTILINE)
    assert sorted(told) == [
        ("ERROR", "task"),
        ("ERROR", "thread"),
        ("FAILED", "executor"),
        ("PASSED", "no_thread"),
        ("PASSED", "nothing"),
        ("PASSED", "task"),
        ("PASSED", "thread"),
    ], answer.stdout + answer.stderr
