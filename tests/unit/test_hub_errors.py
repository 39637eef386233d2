"""What the Hub's page says where a spawn fails."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tornado import web

from asyncdockerspawner import errors
from asyncdockerspawner.hub_errors import as_hub_error, say_something


def shown(exc: errors.AsyncDockerSpawnerError) -> str:
    return str(as_hub_error(exc).jupyterhub_message)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("exc", "status", "part"),
    [
        (errors.DiskFull("pull image", "x", "write /var/lib/docker/x: no space left on device"), 507, "disk"),
        (
            errors.EngineTimeout("start container", "x", "no answer within the deadline"),
            503,
            "does not answer",
        ),
        (errors.InvalidConfig("create container", "x", "bad mount."), 500, "`extra_host_config`"),
        (errors.StartFailed("start container", "x", "port is taken."), 500, "cannot be run"),
        (errors.BuildFailed("build image", "x", "pip has failed", code=1), 500, "pip has failed"),
        (errors.EngineRefused("create container", "x", "out of cheese"), 500, "out of cheese"),
        (errors.ImageNotAllowed("not this one"), 400, "not this one"),
        (errors.BadReference("'X' is no image reference"), 400, "no image reference"),
    ],
)
def test_every_error_has_a_status_and_a_sentence(
    exc: errors.AsyncDockerSpawnerError, status: int, part: str
) -> None:
    assert as_hub_error(exc).status_code == status  # type: ignore[attr-defined]
    assert part in shown(exc)
    assert ". ." not in shown(exc)
    assert ".." not in shown(exc)


def test_a_full_disk_tells_no_path_of_the_engines_machine() -> None:
    assert "/" not in shown(errors.DiskFull("create container", "x", "mkdir /var/lib/docker: no space left"))


@given(st.text(), st.text(min_size=1))
def test_what_a_server_has_written_is_shown_as_text(message: str, lines: str) -> None:
    found = as_hub_error(errors.ServerDied(message, lines))
    html: str = found.jupyterhub_html_message  # type: ignore[attr-defined]
    inner = html.removeprefix("<p>").removesuffix("</pre>").replace("</p><pre>", "", 1)
    assert not set(inner) & set("<>\"'")
    assert lines in str(found.jupyterhub_message)  # type: ignore[attr-defined]


def test_without_lines_a_death_is_a_sentence() -> None:
    assert not hasattr(as_hub_error(errors.ServerDied("It died.")), "jupyterhub_html_message")


def test_a_sites_own_exception_gets_a_sentence_unless_it_has_one() -> None:
    plain, spoken, http = ValueError("x"), ValueError("x"), web.HTTPError(403, "no")
    spoken.jupyterhub_message = "mine"  # type: ignore[attr-defined]
    for exc in (plain, spoken, http):
        say_something(exc, "ours")
    assert plain.jupyterhub_message == "ours"  # type: ignore[attr-defined]
    assert spoken.jupyterhub_message == "mine"  # type: ignore[attr-defined]
    assert not hasattr(http, "jupyterhub_message")
