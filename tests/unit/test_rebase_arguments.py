"""The command line of `python -m asyncdockerspawner.rebase`."""

from __future__ import annotations

from pathlib import Path

import jupyterhub
import pytest

from asyncdockerspawner import errors
from asyncdockerspawner.rebase import command


def test_without_options_it_is_the_hubs_own_version_and_a_fresh_base() -> None:
    order = command.read(["debian:12", "lab:1"], {})
    wanted = order.recipe
    assert (wanted.base, wanted.tag, wanted.hub_version) == ("debian:12", "lab:1", jupyterhub.__version__)
    assert (wanted.pull, wanted.entrypoint, wanted.offline, wanted.user) == (True, True, False, "jovyan")
    assert order.files == (("pip.conf", b"[global]\n"),)
    assert (order.network, order.labels, order.build_args) == (None, {}, {})


def test_options_reach_the_recipe_and_the_build() -> None:
    words = "debian:12 lab:1 --pip a b --pip c>=1 --hub-version 5.* --user ada --no-pull --no-entrypoint"
    order = command.read(
        [*words.split(), "--network", "host", "--label", "k=v=w", "--label", "l"], {"http_proxy": "p"}
    )
    wanted = order.recipe
    assert (wanted.pip, wanted.hub_version, wanted.user) == (("a", "b", "c>=1"), "5.*", "ada")
    assert (wanted.pull, wanted.entrypoint) == (False, False)
    assert (order.network, order.labels, order.build_args) == (
        "host",
        {"k": "v=w", "l": ""},
        {"http_proxy": "p"},
    )


def test_files_are_read_wheels_and_certificates(tmp_path: Path) -> None:
    (tmp_path / "x-1-py3-none-any.whl").write_bytes(b"wheel")
    (tmp_path / "notes.txt").write_bytes(b"")
    (tmp_path / "ca.pem").write_bytes(b"pem")
    environ = {"PIP_CERT": str(tmp_path / "ca.pem"), "PIP_INDEX_URL": "https://env"}
    order = command.read(["a", "b", "--wheels", str(tmp_path), "--index-url", "https://own"], environ)
    assert order.recipe.offline
    assert dict(order.files) == {
        "pip.conf": b"[global]\nindex-url = https://own\ncert = /rebase/ca.pem\n",
        "ca.pem": b"pem",
        "wheels/x-1-py3-none-any.whl": b"wheel",
    }


@pytest.mark.parametrize("option", ["--wheels", "--ca"])
def test_a_file_that_cannot_be_read_is_named(option: str) -> None:
    with pytest.raises(errors.BadOption, match="/nowhere/x cannot be read"):
        command.read(["a", "b", option, "/nowhere/x"], {})


def test_a_wrong_word_ends_with_a_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert command.main(["UP", "b"]) == command.MISUSED
    assert capsys.readouterr().err.startswith("The base 'UP' is no image reference")
    monkeypatch.setenv("DOCKER_HOST", "ftp://x")
    assert command.main(["a", "b"]) == command.MISUSED
    assert "The Engine's address" in capsys.readouterr().err


def test_the_help_tells_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(["--help"])
    assert ended.value.code == 0
    assert "3 does not fit the Hub" in " ".join(capsys.readouterr().out.split())
