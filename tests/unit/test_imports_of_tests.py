"""What tests and benchmarks share lies in `tests/support`: none of them is a library of another."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHARED = ("tests.support", "tests.fake_engine", "tests.testbed")
OF_THE_BENCHMARKS = {
    "tests/unit/test_benchmarks_load.py",
    "tests/unit/test_benchmarks_progress.py",
    "tests/unit/test_benchmarks_report.py",
    "tests/unit/test_benchmarks_run.py",
    "tests/engine/test_benchmarks.py",
    "tests/engine/test_soak.py",
    "tests/hub/test_benchmarks_load.py",
}
"""The tests of the benchmarks themselves."""
SOURCES = sorted(path for folder in ("tests", "benchmarks") for path in (ROOT / folder).rglob("*.py"))


def imported(source: str) -> Iterator[str]:
    """Give each module, or name in a module, that a source imports."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{each.name}" for each in node.names)


def fault_of(path: str, name: str) -> str:
    """Say why a file must not import this, or nothing."""
    if name.startswith("benchmarks."):
        allowed = path.startswith("benchmarks/") or path in OF_THE_BENCHMARKS
        return "" if allowed else "only the benchmarks' own tests know them"
    if name.startswith("tests.") and not name.startswith(SHARED):
        return "what is shared lies in tests/support"
    if name.rpartition(".")[0].rpartition(".")[2].startswith(("test_", "conftest")):
        return "a file of tests is nobody's library"
    return ""


def test_tests_and_benchmarks_import_from_each_other_only_what_is_shared() -> None:
    found = {
        f"{where} imports {name}": fault
        for where, path in ((str(path.relative_to(ROOT)), path) for path in SOURCES)
        for name in imported(path.read_text())
        if (fault := fault_of(where, name))
    }
    assert found == {}


@pytest.mark.parametrize(
    ("path", "source", "found"),
    [
        ("tests/hub/test_a.py", "from tests.hub.conftest import MakeHub", True),
        ("tests/hub/test_a.py", "from tests.engine.test_b import made", True),
        ("tests/testbed/test_a.py", "from tests.testbed.test_b import made", True),
        ("tests/unit/test_a.py", "from tests import guards", True),
        ("tests/support/a.py", "from benchmarks.hubs.hub import measured_hub", True),
        ("tests/support/a.py", "import benchmarks.hubs", True),
        ("benchmarks/a.py", "from tests.engine.conftest import Site", True),
        ("benchmarks/a.py", "from tests.support.site import Site\nfrom benchmarks.hubs import Hub", False),
        ("tests/engine/test_soak.py", "from benchmarks.soak.run import soak", False),
        ("tests/unit/test_a.py", "from tests.support import guards\nfrom tests.testbed import apt", False),
    ],
)
def test_a_planted_import_is_found(path: str, source: str, found: bool) -> None:
    assert any(fault_of(path, name) for name in imported(source)) is found
