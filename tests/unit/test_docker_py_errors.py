"""Errors of the facade: docker-py's to code that was written for it, ours to everybody else."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from typing import Any

import docker
import pytest
import requests

from asyncdockerspawner import errors
from asyncdockerspawner.docker_py.failures import as_docker_py, in_both
from asyncdockerspawner.hub import errors as hub_errors

DO = ("do something", "x", "because")
NOT_FOUND = errors.ObjectNotFound(*DO, status=404)


@pytest.mark.parametrize(
    ("ours", "theirs", "status"),
    [
        (NOT_FOUND, docker.errors.NotFound, 404),
        (errors.ObjectNotFound(*DO), docker.errors.NotFound, 404),
        (errors.ImageNotFound(*DO, status=404), docker.errors.ImageNotFound, 404),
        (errors.PullError(*DO, status=404), docker.errors.ImageNotFound, 404),
        (errors.PullError(*DO), docker.errors.APIError, 500),
        (errors.StartFailed(*DO, status=404), docker.errors.NotFound, 404),
        (errors.NameConflict(*DO, status=409, holder="abc"), docker.errors.APIError, 409),
        (errors.InvalidConfig(*DO, status=400), docker.errors.APIError, 400),
        (errors.EngineRefused(*DO, status=503), docker.errors.APIError, 503),
    ],
)
def test_an_answer_of_the_engine_is_caught_either_way(
    ours: errors.EngineError, theirs: type[Exception], status: int
) -> None:
    found: Any = as_docker_py(ours)
    assert {type(ours), theirs} <= set(type(found).__mro__)
    assert isinstance(found, docker.errors.NotFound) is (status == 404)
    assert (found.status_code, found.response.status_code) == (status, status)
    assert found.is_error()
    assert (found.is_client_error(), found.is_server_error()) == (status < 500, status >= 500)
    assert found.explanation == found.response.json()["message"] == "because"
    assert b"because" in found.response.content
    assert str(found) == str(ours)
    assert found.__dict__.items() >= ours.__dict__.items()


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (errors.EngineUnavailable(*DO), requests.exceptions.ConnectionError),
        (errors.EngineLost(*DO), requests.exceptions.ConnectionError),
        (errors.EngineTimeout(*DO), requests.exceptions.ReadTimeout),
    ],
)
def test_where_there_was_no_answer_it_is_no_api_error(
    ours: errors.EngineError, theirs: type[Exception]
) -> None:
    found: Any = as_docker_py(ours)
    assert {type(ours), theirs} <= set(type(found).__mro__)
    assert not isinstance(found, docker.errors.APIError)
    assert (found.response, found.status_code, found.is_error()) == (None, None, False)
    assert str(found) == str(ours)


def test_each_class_is_made_once() -> None:
    assert type(as_docker_py(NOT_FOUND)) is type(as_docker_py(NOT_FOUND))
    assert type(as_docker_py(NOT_FOUND)).__name__ == "ObjectNotFound"


def test_the_hub_is_told_as_of_any_error_of_ours() -> None:
    ours = errors.InvalidConfig(*DO, status=400)
    assert str(hub_errors.as_hub_error(as_docker_py(ours))) == str(hub_errors.as_hub_error(ours))


def caused(exc: errors.SpawnRefused, cause: Exception) -> errors.SpawnRefused:
    exc.__cause__ = cause
    return exc


MISSING = errors.StartFailed(*DO, status=404)


@pytest.mark.parametrize(
    ("ours", "theirs", "status"),
    [
        (errors.ImageUnavailable("not there"), docker.errors.ImageNotFound, 404),
        (
            caused(errors.ImageUnavailable("no"), errors.PullError(*DO, reason=errors.PullReason.DENIED)),
            docker.errors.ImageNotFound,
            404,
        ),
        (
            caused(errors.ImageUnavailable("no"), errors.PullError(*DO, reason=errors.PullReason.NETWORK)),
            docker.errors.APIError,
            500,
        ),
        (caused(errors.BadOption("`network_name`"), MISSING), docker.errors.NotFound, 404),
    ],
)
def test_a_sentence_for_the_user_is_caught_as_what_is_behind_it(
    ours: errors.SpawnRefused, theirs: type[Exception], status: int
) -> None:
    found: Any = as_docker_py(ours)
    assert {type(ours), theirs} <= set(type(found).__mro__)
    assert isinstance(found, docker.errors.ImageNotFound) is (theirs is docker.errors.ImageNotFound)
    assert (found.status_code, found.response.status_code) == (status, status)
    assert str(found) == found.explanation == str(ours)


def test_what_the_engine_has_not_said_is_not_docker_pys() -> None:
    for ours in (errors.BadOption("x"), errors.ServerDied("dead", "lines"), errors.QueueTimeout("x")):
        assert as_docker_py(ours) is ours


REFUSED = errors.InvalidConfig(*DO, status=400)
DIED = errors.ServerDied("dead", "last <lines>")


@pytest.mark.parametrize(
    ("ours", "kind", "theirs"),
    [
        (REFUSED, errors.InvalidConfig, docker.errors.APIError),
        (as_docker_py(REFUSED), errors.InvalidConfig, docker.errors.APIError),
        (errors.EngineLost(*DO), errors.EngineLost, requests.exceptions.ConnectionError),
        (errors.ImageUnavailable("x"), errors.ImageUnavailable, docker.errors.ImageNotFound),
        (DIED, errors.ServerDied, errors.ServerDied),
    ],
)
def test_the_hubs_error_is_caught_as_all_three_and_shows_what_it_showed(
    ours: Any, kind: type[Exception], theirs: type[Exception]
) -> None:
    shown: Any = hub_errors.as_hub_error(ours)
    found: Any = in_both(shown, ours)
    assert {type(shown), kind, theirs} <= set(type(found).__mro__)
    assert isinstance(found, requests.exceptions.RequestException) is (ours is not DIED)
    assert str(found) == found.jupyterhub_message == shown.jupyterhub_message
    # Tornado fills them into what it logs.
    assert (found.log_message, found.args) == (shown.log_message, shown.args)
    assert found.reason == shown.reason
    assert found.status_code == (found.response.status_code if found.response else shown.status_code)
    html = "jupyterhub_html_message"
    assert getattr(found, html, None) == getattr(shown, html, None)
    again: Any = hub_errors.as_hub_error(found)
    assert type(again) is type(shown)


@pytest.mark.parametrize(
    "error",
    [
        REFUSED,
        errors.NameConflict(*DO, status=409, holder="abc"),
        DIED,
        as_docker_py(REFUSED),
        as_docker_py(errors.EngineTimeout(*DO)),
        as_docker_py(errors.ImageUnavailable("x")),
        in_both(hub_errors.as_hub_error(REFUSED), REFUSED),
        in_both(hub_errors.as_hub_error(DIED), DIED),
    ],
)
@pytest.mark.parametrize("again", [lambda error: pickle.loads(pickle.dumps(error)), copy.copy])  # noqa: S301 - ours
def test_errors_are_the_same_after_a_pickle_and_a_copy(error: Any, again: Any) -> None:
    found = again(error)
    assert type(found) is type(error)
    assert (str(found), found.args, found.__dict__) == (str(error), error.args, error.__dict__)


def test_an_odd_status_has_no_words() -> None:
    found: Any = as_docker_py(errors.EngineRefused(*DO, status=599))
    assert (found.response.reason, found.is_server_error()) == ("", True)


WITHOUT_DOCKER_PY = """
import sys
from asyncdockerspawner import errors
from asyncdockerspawner.docker_py.failures import as_docker_py

found = as_docker_py(errors.ObjectNotFound("do", "x", "because", status=404))
assert isinstance(found, errors.ObjectNotFound)
assert (found.status_code, found.response.status_code, found.is_client_error()) == (404, 404, True)
assert as_docker_py(errors.EngineLost("do", "x", "because")).response is None
assert "docker" not in sys.modules, "it is never imported"
import docker.errors
assert isinstance(as_docker_py(found), docker.errors.NotFound), "it is used once it is there"
"""


def test_docker_py_is_not_needed_and_not_imported() -> None:
    subprocess.run([sys.executable, "-c", WITHOUT_DOCKER_PY], check=True)
