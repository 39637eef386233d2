"""What the Hub's page says where a spawn fails, and what its log does."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tornado import web

from asyncdockerspawner import errors
from asyncdockerspawner.hub import site_code
from asyncdockerspawner.hub.errors import ASK, as_hub_error, for_log, for_the_hub, for_user
from asyncdockerspawner.workloads.observed import Observed

LOG = logging.getLogger(__name__)
WHOM = "dministrator"


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
        (errors.InvalidConfig("create container", "x", "bad mount."), 500, "bad mount"),
        (errors.StartFailed("start container", "x", "port is taken."), 500, "cannot be run"),
        (errors.BuildFailed("build image", "x", "pip has failed", code=1), 500, "pip has failed"),
        (errors.EngineRefused("create container", "x", "out of cheese"), 500, "out of cheese"),
        (errors.ImageNotAllowed("not this one"), 400, "not this one"),
        (errors.BadReference("'X' is no image reference"), 400, "no image reference"),
        (errors.NoEndpoint("It is out of reach.", advice="`network_name`"), 500, "out of reach"),
    ],
)
def test_every_error_has_a_status_and_a_sentence(
    exc: errors.AsyncDockerSpawnerError, status: int, part: str
) -> None:
    assert as_hub_error(exc).status_code == status
    assert part in shown(exc)
    assert ". ." not in shown(exc)
    assert ".." not in shown(exc)


def kinds_of(kind: Any) -> list[Any]:
    # Others are made of these, with docker-py's, where they are needed.
    below = [each for each in kind.__subclasses__() if each is getattr(errors, each.__name__, None)]
    return [kind, *(each for one in below for each in kinds_of(one))]


def made(kind: Any, message: str, advice: str) -> errors.AsyncDockerSpawnerError:
    if kind is errors.NameConflict:
        return errors.NameConflict("create container", "x", message, status=409, holder=None)
    if kind is errors.KeptForAnother:
        return errors.KeptForAnother(message, advice=advice, observed=Observed(id="a"))
    if issubclass(kind, errors.EngineError):
        found: errors.EngineError = kind("create container", "x", message)
        return found
    refused: errors.AsyncDockerSpawnerError = kind(message, advice=advice)
    return refused


OURS = [kind for kind in kinds_of(errors.AsyncDockerSpawnerError) if kind.__module__ == errors.__name__]


@pytest.mark.parametrize("kind", OURS)
def test_what_only_an_administrator_can_change_is_in_the_log_and_not_on_the_page(kind: Any) -> None:
    exc = made(kind, "It has happened.", "Set `mem_limit`.")
    assert "`" not in shown(exc)
    assert "It has happened" in for_log(exc)
    if issubclass(kind, errors.SpawnRefused):
        assert for_user(exc) == f"It has happened. {ASK}"
        assert "`mem_limit`" in for_log(exc)


@pytest.mark.parametrize("kind", [errors.BadOption, errors.BadTemplate, errors.SiteCodeFailed])
def test_a_mistake_in_the_configuration_sends_its_user_to_the_administrator(kind: Any) -> None:
    exc = kind("`network_name` is 5.")
    assert "network_name" not in shown(exc)
    assert WHOM in shown(exc)
    assert for_log(exc) == "`network_name` is 5."


def test_what_a_user_can_mend_is_told_to_the_user_alone() -> None:
    exc = errors.ImageNotAllowed("Choose one of a, b.")
    assert shown(exc) == for_log(exc) == "Choose one of a, b."


def test_a_full_disk_tells_no_path_of_the_engines_machine() -> None:
    assert "/" not in shown(errors.DiskFull("create container", "x", "mkdir /var/lib/docker: no space left"))


def test_a_container_name_that_the_engine_refuses_names_the_options_that_make_it() -> None:
    exc = errors.InvalidConfig("create container", "x", "Invalid container name (x y)", status=400)
    assert "`name_template`" in for_log(exc)
    assert "`" not in shown(exc)


@given(st.text(), st.text(min_size=1))
def test_what_a_server_has_written_is_shown_as_text(message: str, lines: str) -> None:
    found = as_hub_error(errors.ServerDied(message, lines))
    html: str = found.jupyterhub_html_message  # type: ignore[attr-defined]
    inner = html.removeprefix("<p>").removesuffix("</pre>").replace("</p><pre>", "", 1)
    assert not set(inner) & set("<>\"'")
    assert lines in str(found.jupyterhub_message)  # type: ignore[attr-defined]


def test_without_lines_a_death_is_a_sentence() -> None:
    assert not hasattr(as_hub_error(errors.ServerDied("It died.")), "jupyterhub_html_message")


# ---- whatever a block raises reaches the Hub with a sentence ----


class Quota(Exception):
    """An exception of a subclass of ours."""


def raised(exc: Exception) -> Any:
    """Give what the Hub gets where a block raises this."""
    with pytest.raises(web.HTTPError) as caught, for_the_hub(LOG, "alice"):
        raise exc
    return caught.value


@pytest.mark.parametrize(
    "exc", [Quota("/secret"), KeyError("x"), OSError(2, "gone"), UnicodeError("x"), TypeError("%s%d")]
)
def test_any_exception_gets_a_sentence_a_traceback_and_stays_of_its_class(
    exc: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    found = raised(exc)
    assert found.status_code == 500
    assert WHOM in found.jupyterhub_message
    assert str(exc) not in found.jupyterhub_message
    assert isinstance(found, type(exc))
    [record] = caplog.records
    assert "alice" in record.getMessage()
    assert record.exc_info is not None
    assert record.exc_info[1] is exc


def test_attributes_that_an_exception_carries_are_kept() -> None:
    exc = Quota("full")
    exc.limit = 5  # type: ignore[attr-defined]
    assert raised(exc).limit == 5


def test_a_time_out_of_a_sites_code_is_not_taken_for_the_end_of_start_timeout() -> None:
    assert not isinstance(raised(TimeoutError()), TimeoutError)


def test_a_class_that_cannot_be_the_hubs_too_becomes_the_hubs() -> None:
    class Meta(type):
        pass

    class Odd(Exception, metaclass=Meta):
        pass

    assert WHOM in raised(Odd()).jupyterhub_message


@pytest.mark.parametrize(
    ("exc", "text"),
    [
        (web.HTTPError(403, "not today"), "not today"),
        (web.HTTPError(403, "%d of %d are taken", 3, 4), "3 of 4 are taken"),
        (web.HTTPError(403, "100% taken"), "100% taken"),
        (web.HTTPError(403, reason="Closed"), "Closed"),
    ],
)
def test_a_sites_error_of_the_hubs_kind_stays_itself_and_is_shown(exc: web.HTTPError, text: str) -> None:
    found = raised(exc)
    assert found is exc
    assert found.jupyterhub_message == text  # type: ignore[attr-defined]


def test_a_sentence_that_an_exception_brings_is_kept() -> None:
    spoken: Any = ValueError("x")
    http: Any = web.HTTPError(403, "no")
    for exc in (spoken, http):
        exc.jupyterhub_message = "mine"
        exc.jupyterhub_html_message = "<b>mine</b>"
        found = raised(exc)
        assert (found.jupyterhub_message, found.jupyterhub_html_message) == ("mine", "<b>mine</b>")


def test_ours_are_logged_with_option_and_cure_where_the_page_does_not_have_them(
    caplog: pytest.LogCaptureFixture,
) -> None:
    raised(errors.ImageNotAllowed("Choose one of a, b."))
    assert not caplog.records
    raised(errors.NoEndpoint("It is out of reach.", advice="Set `network_name`."))
    [record] = caplog.records
    assert record.getMessage() == "alice: It is out of reach. Set `network_name`."
    assert not record.exc_info


def test_a_configured_function_that_fails_is_named_in_the_log_with_its_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    failure = ValueError("no group")
    with pytest.raises(web.HTTPError) as caught, for_the_hub(LOG, "alice"), site_code.of_option("mem_limit"):
        raise failure
    assert "mem_limit" not in caught.value.jupyterhub_message  # type: ignore[attr-defined]
    [record] = caplog.records
    assert "`mem_limit`" in record.getMessage()
    assert record.exc_info is not None
    assert record.exc_info[1] is failure


@pytest.mark.parametrize("exc", [web.HTTPError(403, "no"), errors.ImageNotAllowed("no")])
def test_what_a_configured_function_means_to_say_goes_on(exc: Exception) -> None:
    with pytest.raises(type(exc)) as caught, site_code.of_option("mem_limit"):
        raise exc
    assert caught.value is exc


def test_cancellation_is_no_error() -> None:
    with pytest.raises(asyncio.CancelledError), for_the_hub(LOG, "alice"), site_code.of_option("mem_limit"):
        raise asyncio.CancelledError
