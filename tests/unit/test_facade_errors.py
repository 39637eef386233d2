"""Errors of the facade: docker-py's to code that was written for it, ours to everybody else."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import docker
import pytest
import requests

from asyncdockerspawner import errors, hub_errors
from asyncdockerspawner.facade.failures import as_docker_py

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


def test_an_odd_status_has_no_words() -> None:
    found: Any = as_docker_py(errors.EngineRefused(*DO, status=599))
    assert (found.response.reason, found.is_server_error()) == ("", True)


WITHOUT_DOCKER_PY = """
import sys
from asyncdockerspawner import errors
from asyncdockerspawner.facade.failures import as_docker_py

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
