"""The driver of the Hub's REST API: statuses, waiting, failure texts, deadlines."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest
import respx

from tests.support.hub_api import HubAPI, HubRefused, ServerFailed

PUBLIC = "http://127.0.0.1:8000"
API = f"{PUBLIC}/hub/api"
READY = {"name": "", "ready": True, "pending": None, "url": "/user/ada/"}
PENDING = {"name": "", "ready": False, "pending": "spawn"}


@pytest.fixture
async def api() -> AsyncIterator[HubAPI]:
    async with HubAPI(PUBLIC, "secret", deadline=60, poll_every=0.001) as api:
        yield api


@pytest.fixture
async def impatient() -> AsyncIterator[HubAPI]:
    """One whose deadlines come."""
    async with HubAPI(PUBLIC, "secret", deadline=0.05, poll_every=0.001) as api:
        yield api


@pytest.fixture
def hub() -> Iterator[respx.Router]:
    with respx.mock(base_url=API, assert_all_called=False) as router:
        yield router


def user(**servers: dict[str, Any]) -> httpx.Response:
    return httpx.Response(
        200, json={"name": "ada", "servers": {k.rstrip("_"): v for k, v in servers.items()}}
    )


def events(*documents: dict[str, Any]) -> httpx.Response:
    return httpx.Response(200, text="\n\n".join(f"data: {json.dumps(d)}" for d in documents) + "\n\n\n")


def error(status: int, message: str) -> httpx.Response:
    return httpx.Response(status, json={"status": status, "message": message})


# ---- start ----


async def test_a_start_answered_201_is_ready(api: HubAPI, hub: respx.Router) -> None:
    start = hub.post("/users/ada/server").respond(201)
    await api.start_server("ada", options={"image": "stub:1"})
    assert hub.calls.call_count == 1
    assert json.loads(start.calls.last.request.content) == {"image": "stub:1"}
    assert start.calls.last.request.headers["authorization"] == "token secret"


async def test_a_start_answered_202_is_followed_to_its_ready_event(api: HubAPI, hub: respx.Router) -> None:
    hub.post("/users/ada/servers/lab").respond(202)
    progress = hub.get("/users/ada/servers/lab/progress").mock(
        return_value=events({"progress": 0, "message": "asked"}, {"progress": 100, "ready": True})
    )
    await api.start_server("ada", "lab")
    assert progress.call_count == 1


async def test_a_progress_that_ends_early_is_asked_again(api: HubAPI, hub: respx.Router) -> None:
    hub.post("/users/ada/server").respond(202)
    progress = hub.get("/users/ada/server/progress")
    progress.side_effect = [events({"progress": 10, "message": "pulling"}), error(400, "is not starting...")]
    hub.get("/users/ada").mock(side_effect=[user(_=PENDING), user(_=READY)])
    await api.start_server("ada")
    assert progress.call_count == 2


async def test_a_start_that_fails_at_once_tells_the_hubs_text(api: HubAPI, hub: respx.Router) -> None:
    hub.post("/users/ada/server").mock(return_value=error(500, "the image has no server"))
    with pytest.raises(ServerFailed, match="server of ada: the image has no server") as failure:
        await api.start_server("ada")
    assert failure.value.status == 500


async def test_a_start_that_fails_later_tells_the_events_text(api: HubAPI, hub: respx.Router) -> None:
    hub.post("/users/ada/servers/lab").respond(202)
    hub.get("/users/ada/servers/lab/progress").mock(
        return_value=events({"progress": 100, "failed": True, "message": "Spawn failed: no space"})
    )
    with pytest.raises(ServerFailed, match=r"server 'lab' of ada: Spawn failed: no space"):
        await api.start_server("ada", "lab")


async def test_a_start_that_vanishes_is_a_failure(api: HubAPI, hub: respx.Router) -> None:
    hub.post("/users/ada/server").respond(202)
    hub.get("/users/ada/server/progress").mock(return_value=error(400, "is not starting..."))
    hub.get("/users/ada").mock(return_value=user())
    with pytest.raises(ServerFailed, match="ended without a reason"):
        await api.start_server("ada")


async def test_a_progress_refused_for_another_reason_is_told(api: HubAPI, hub: respx.Router) -> None:
    hub.post("/users/ada/server").respond(202)
    hub.get("/users/ada/server/progress").mock(return_value=error(403, "not yours"))
    with pytest.raises(HubRefused, match="not yours"):
        await api.start_server("ada")


async def test_a_start_ends_at_its_deadline(impatient: HubAPI, hub: respx.Router) -> None:
    hub.post("/users/ada/server").respond(202)
    hub.get("/users/ada/server/progress").mock(return_value=events({"progress": 10, "message": "pulling"}))
    hub.get("/users/ada").mock(return_value=user(_=PENDING))
    with pytest.raises(ServerFailed, match=r"not ready within 0\.05 s"):
        await impatient.start_server("ada")


def throttled(seconds: str) -> httpx.Response:
    return httpx.Response(429, headers={"Retry-After": seconds}, json={"message": "Too many users"})


async def test_a_start_that_comes_at_a_bad_time_is_asked_again_when_the_hub_says(
    api: HubAPI, hub: respx.Router
) -> None:
    start = hub.post("/users/ada/server")
    start.side_effect = [throttled("0"), throttled("0"), httpx.Response(201)]
    await api.start_server("ada", options={"image": "stub:1"})
    assert [json.loads(call.request.content) for call in start.calls] == [{"image": "stub:1"}] * 3
    assert api.throttled == 2


@pytest.mark.parametrize(
    "answer", [throttled("3600"), throttled("Wed, 21 Oct 2026 07:28:00 GMT"), error(429, "Too many users")]
)
async def test_a_start_that_would_be_too_late_or_is_told_no_time_is_not_asked_again(
    api: HubAPI, hub: respx.Router, answer: httpx.Response
) -> None:
    start = hub.post("/users/ada/server").mock(return_value=answer)
    with pytest.raises(ServerFailed, match="server of ada: Too many users") as failure:
        await api.start_server("ada")
    assert (failure.value.status, start.call_count, api.throttled) == (429, 1, 0)


class Cut(httpx.AsyncByteStream):
    """A stream that breaks off behind these bytes."""

    def __init__(self, text: str, error: type[httpx.TransportError]) -> None:
        self._text, self._error = text, error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._text.encode()
        raise self._error("peer closed connection")


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, stream=Cut('data: {"progress": 10}\n\ndata: {"prog', httpx.RemoteProtocolError)),
        httpx.Response(200, stream=Cut('data: {"progress": 10}\n\n', httpx.ReadError)),
        httpx.Response(200, text='data: {"progress": 10}\n\ndata: {"prog'),
        httpx.Response(200, text=""),
    ],
    ids=["within an event", "between events", "ended within an event", "empty"],
)
async def test_a_progress_that_is_cut_is_asked_for_again(
    api: HubAPI, hub: respx.Router, answer: httpx.Response
) -> None:
    hub.post("/users/ada/server").respond(202)
    progress = hub.get("/users/ada/server/progress")
    progress.side_effect = [answer, events({"progress": 100, "ready": True})]
    asked = hub.get("/users/ada").mock(return_value=user(_=PENDING))
    await api.start_server("ada")
    assert (progress.call_count, asked.call_count) == (2, 1)


async def test_a_start_that_fails_while_its_progress_is_cut_is_told(api: HubAPI, hub: respx.Router) -> None:
    hub.post("/users/ada/server").respond(202)
    hub.get("/users/ada/server/progress").mock(
        side_effect=[
            httpx.Response(200, stream=Cut('data: {"progress": 10}\n\n', httpx.RemoteProtocolError)),
            events({"progress": 100, "failed": True, "message": "Spawn failed: no space"}),
        ]
    )
    hub.get("/users/ada").mock(return_value=user(_=PENDING))
    with pytest.raises(ServerFailed, match="Spawn failed: no space"):
        await api.start_server("ada")


async def test_a_hub_that_is_gone_when_its_progress_is_cut_is_a_failure(
    api: HubAPI, hub: respx.Router
) -> None:
    hub.post("/users/ada/server").respond(202)
    hub.get("/users/ada/server/progress").mock(
        return_value=httpx.Response(200, stream=Cut("", httpx.RemoteProtocolError))
    )
    hub.get("/users/ada").mock(side_effect=httpx.ConnectError("refused"))
    with pytest.raises(ServerFailed, match="the Hub broke off"):
        await api.start_server("ada")


async def test_a_token_that_the_hub_does_not_take_is_refused_and_not_told(hub: respx.Router) -> None:
    hub.get("/info").mock(return_value=error(403, "Missing or invalid credentials."))
    async with HubAPI(PUBLIC, "very-secret", deadline=0.05) as api:
        with pytest.raises(HubRefused, match="invalid credentials") as refusal:
            await api.info()
    assert refusal.value.status == 403
    assert "very-secret" not in f"{refusal.value!r} {api!r} {vars(refusal.value)}"


async def test_a_hub_that_breaks_off_is_a_failure(api: HubAPI, hub: respx.Router) -> None:
    hub.post("/users/ada/server").mock(side_effect=httpx.ReadError("gone"))
    with pytest.raises(ServerFailed, match="broke off"):
        await api.start_server("ada")


# ---- poll and stop ----


async def test_a_poll_is_a_second_start_that_is_refused(api: HubAPI, hub: respx.Router) -> None:
    hub.post("/users/ada/server").mock(return_value=error(400, "ada: is already running"))
    await api.poll_server("ada")


@pytest.mark.parametrize("answer", [httpx.Response(201), error(400, "ada is pending stop")])
async def test_a_poll_of_a_server_that_does_not_run_fails(
    api: HubAPI, hub: respx.Router, answer: httpx.Response
) -> None:
    hub.post("/users/ada/server").mock(return_value=answer)
    with pytest.raises(ServerFailed, match="should be running"):
        await api.poll_server("ada")


async def test_a_stop_answered_204_is_over(api: HubAPI, hub: respx.Router) -> None:
    stop = hub.delete("/users/ada/servers/lab").respond(204)
    await api.stop_server("ada", "lab", remove=True)
    assert json.loads(stop.calls.last.request.content) == {"remove": True}


async def test_a_stop_answered_202_waits_until_the_server_is_gone(api: HubAPI, hub: respx.Router) -> None:
    hub.delete("/users/ada/server").respond(202)
    asked = hub.get("/users/ada").mock(side_effect=[user(_=READY), user(_=READY), user()])
    await api.stop_server("ada")
    assert asked.call_count == 3


async def test_a_stop_refused_tells_why(api: HubAPI, hub: respx.Router) -> None:
    hub.delete("/users/ada/servers/lab").mock(return_value=error(404, "no server named 'lab'"))
    with pytest.raises(ServerFailed, match="no server named 'lab'"):
        await api.stop_server("ada", "lab")


async def test_a_stop_ends_at_its_deadline(impatient: HubAPI, hub: respx.Router) -> None:
    hub.delete("/users/ada/server").respond(202)
    hub.get("/users/ada").mock(return_value=user(_=READY))
    with pytest.raises(ServerFailed, match=r"not gone within 0\.05 s"):
        await impatient.stop_server("ada")


# ---- users, the Hub, the proxy ----


async def test_users_are_made_and_deleted(api: HubAPI, hub: respx.Router) -> None:
    many = hub.post("/users").respond(201, json=[])
    hub.post("/users/has%40c%C3%A4ps-1").mock(return_value=httpx.Response(201, json={"name": "has@cäps-1"}))
    hub.delete("/users/ada").mock(side_effect=[httpx.Response(204), error(404, "no such user")])
    await api.create_users(f"u{i}" for i in range(2))
    assert json.loads(many.calls.last.request.content) == {"usernames": ["u0", "u1"]}
    await api.delete_user("ada")
    await api.delete_user("ada")


async def test_names_are_escaped_as_the_hub_does(api: HubAPI, hub: respx.Router) -> None:
    route = hub.get(path__regex=r".*").respond(200, json={"servers": {}})
    await api.user("has@cäps-1/x")
    assert route.calls.last.request.url.raw_path == b"/hub/api/users/has@c%C3%A4ps-1%2Fx"


async def test_a_refusal_carries_status_and_text(api: HubAPI, hub: respx.Router) -> None:
    hub.delete("/users/ada").mock(return_value=httpx.Response(500, text="oops"))
    hub.get("/users/ada").mock(return_value=httpx.Response(403))
    with pytest.raises(HubRefused, match="oops"):
        await api.delete_user("ada")
    with pytest.raises(HubRefused, match="HTTP 403") as refusal:
        await api.user("ada")
    assert refusal.value.status == 403


async def test_the_hubs_version_is_told_to_everybody(api: HubAPI, hub: respx.Router) -> None:
    hub.get("/").respond(200, json={"version": "6.1.1"})
    assert await api.version() == "6.1.1"


async def test_waiting_for_the_hub(api: HubAPI, hub: respx.Router) -> None:
    hub.get("/info").mock(side_effect=[httpx.ConnectError("not yet"), error(503, "starting"), user()])
    await api.wait_until_up()


async def test_waiting_for_a_hub_that_never_comes(api: HubAPI, hub: respx.Router) -> None:
    hub.get("/info").mock(side_effect=httpx.ConnectError("no"))
    with pytest.raises(HubRefused, match=r"did not answer within 0\.02 s"):
        await api.wait_until_up(0.02)


@pytest.mark.parametrize(
    ("call", "path"),
    [
        (lambda api: api.server_status("ada"), "/user/ada/api/status"),
        (lambda api: api.server_status("has@caps", "l b", path="x"), "/user/has@caps/l%20b/x"),
    ],
)
async def test_a_servers_status_is_asked_through_the_proxy(
    api: HubAPI, call: Callable[[HubAPI], Any], path: str
) -> None:
    with respx.mock(base_url=PUBLIC) as proxy:
        route = proxy.get(path__regex=r".*").respond(200, json={"kernels": 0})
        response: httpx.Response = await call(api)
    assert response.json() == {"kernels": 0}
    assert route.calls.last.request.url.raw_path == path.encode()
