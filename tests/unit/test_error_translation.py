"""The Engine's answers and broken connections, as errors of ours."""

from __future__ import annotations

import copy

import aiohttp
import pytest
from aiodocker.exceptions import DockerError

from asyncdockerspawner import errors
from asyncdockerspawner.client import translate
from asyncdockerspawner.errors import PullReason
from asyncdockerspawner.jsontypes import JsonObject

ID = "ab" * 32


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (409, f'The container name "/x" is already in use by container "{ID}"', errors.NameConflict),
        (500, f'the container name "x" is already in use by {ID}', errors.NameConflict),
        (409, f"removal of container {ID} is already in progress", errors.RemovalInProgress),
        (500, "container is marked for removal and cannot be started", errors.RemovalInProgress),
        (404, "No such image: nobody/nothing:1", errors.ImageNotFound),
        (404, "network nowhere not found", errors.StartFailed),
        (404, "No such container: x", errors.ObjectNotFound),
        (400, "OCI runtime create failed: no such file or directory", errors.StartFailed),
        (500, "Bind for 127.0.0.1:1 failed: port is already allocated", errors.PortTaken),
        (500, "listen tcp4 127.0.0.1:32768: bind: address already in use", errors.PortTaken),
        (500, 'could not select device driver "" with capabilities: [[gpu]]', errors.StartFailed),
        (400, "Minimum memory limit allowed is 6MB", errors.InvalidConfig),
        (500, "json: cannot unmarshal string into Go struct field", errors.InvalidConfig),
        (409, "You cannot remove a running container", errors.EngineRefused),
        (500, f"joining network namespace of container: No such container: {ID}", errors.ObjectNotFound),
        (500, "out of cheese", errors.EngineRefused),
        # Docker Engine 25 to 29.
        (400, "invalid JSON: json: cannot unmarshal string into Go struct field", errors.InvalidConfig),
        (404, "failed to set up container networking: network nowhere not found", errors.StartFailed),
        (500, "failed to bind host port 127.0.0.1:1/tcp: address already in use", errors.PortTaken),
        (400, "failed to create task for container: failed to create shim task", errors.StartFailed),
        (500, "CDI device injection failed: unresolvable CDI devices", errors.StartFailed),
        (400, "client version 1.41 is too old. Minimum supported API version is 1.44", errors.VersionRefused),
        (400, "client version 1.52 is too new. Maximum supported API version is 1.41", errors.VersionRefused),
        (409, "container is running: stop the container before removing", errors.EngineRefused),
        # A swarm.
        (503, "This node is not a swarm manager. Use \"docker swarm init\"", errors.NotSwarmManager),
        (503, "This node is not part of a swarm", errors.NotSwarmManager),
        (503, "Swarm is encrypted and needs to be unlocked before it can be used.", errors.NotSwarmManager),
        (503, "Swarm certificates have expired.", errors.NotSwarmManager),
        (500, "rpc error: code = Unknown desc = The swarm does not have a leader.", errors.EngineUnavailable),
        (
            503,
            "This node is not a swarm manager. Manager is being prepared or has trouble connecting",
            errors.EngineUnavailable,
        ),
        (409, "name conflicts with an existing object: service x already exists", errors.NameConflict),
        (409, "rpc error: code = AlreadyExists desc = secret x already exists", errors.NameConflict),
        (404, "service x not found", errors.ObjectNotFound),
        (400, "secret 'x' is in use by the following service: y", errors.InvalidConfig),
        (500, "rpc error: code = Unknown desc = update out of sequence", errors.EngineRefused),
        # The Engine's own 403 is none of a filter's.
        (403, "endpoint with name x already exists in network y", errors.EngineRefused),
        (403, "operation is not permitted on predefined bridge network", errors.EngineRefused),
    ],
)  # fmt: skip
def test_an_answer_is_told_apart_by_status_and_message(
    status: int, message: str, kind: type[errors.EngineError]
) -> None:
    found = translate.from_answer(status, message, operation="do", subject="x")
    assert type(found) is kind
    assert (found.status, found.operation, found.subject) == (status, "do", "x")


@pytest.mark.parametrize("operation", ["create service", "update service"])
@pytest.mark.parametrize(
    ("status", "message"),
    [
        (404, "network nowhere not found"),
        (500, "network nowhere not found"),
        (500, "rpc error: code = Unknown desc = constraint expected one operator from ==, !="),
        (500, "rpc error: code = Unknown desc = value 'a b!' is invalid"),
        (403, "network bridge cannot be used with services. Only networks scoped to the swarm can be used"),
    ],
)
def test_a_network_or_constraint_that_a_service_cannot_have_is_a_mistake_in_the_configuration(
    operation: str, status: int, message: str
) -> None:
    found = translate.from_answer(status, message, operation=operation, subject="x")
    assert type(found) is errors.InvalidConfig
    assert message.endswith(found.message)


def test_what_managers_say_to_each_other_is_left_out() -> None:
    message = "rpc error: code = InvalidArgument desc = name must be valid as a DNS name component"
    found = translate.from_answer(400, message, operation="create service", subject="x")
    assert found.message == "name must be valid as a DNS name component"


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (500, "--storage-opt is supported only for overlay over xfs with 'pquota' mount option"),
        (500, 'invalid --security-opt 1: "nonsense"'),
        (500, "invalid volume specification: '/a:/b:/c:/d'"),
        (500, "Cannot mkdir: /etc/passwd is not a directory"),
        (500, "Invalid isolation: \"nope\" - linux only supports 'default'"),
        (404, 'create v: error looking up volume plugin nope: plugin "nope" not found'),
    ],
)
def test_a_mistake_that_the_engine_calls_its_own_is_one_of_the_configuration(
    status: int, message: str
) -> None:
    found = translate.from_answer(status, message, operation="create container", subject="x")
    assert type(found) is errors.InvalidConfig


@pytest.mark.parametrize(
    "message",
    [
        "Decoding seccomp profile failed: invalid character 'o' in literal null (expecting 'u')",
        'error gathering device information while adding custom device "/dev/x": no such file or directory',
        "error while creating mount source path '/proc/x': mkdir /proc/x: no such file or directory",
        "error while mounting volume '/v/_data': failed to mount local volume: mount :/x: no such device",
        'invalid tmpfs option ["nope" "1"]',
        "unable to find user nope: no matching entries in passwd file",
        "uids and gids must be in range 0-2147483647",
        "Unable to find group nope: no matching entries in group file",
        "address nope: invalid MAC address",
        "Invalid IPC mode: nope",
    ],
)
def test_a_container_that_cannot_be_run_as_it_is_configured_is_told_from_an_engine_in_trouble(
    message: str,
) -> None:
    found = translate.from_answer(500, message, operation="start container", subject="x")
    assert type(found) is errors.StartFailed
    for trouble in ("context deadline exceeded", "transport is closing", "layer does not exist"):
        found = translate.from_answer(500, trouble, operation="start container", subject="x")
        assert type(found) is errors.EngineRefused


PAGE = "<html><body><h1>{}</h1>\nWords for the administrator &amp; others.\n</body></html>\n"


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (403, PAGE.format("403 Forbidden")),
        (403, "Forbidden\n"),
        (405, "Method Not Allowed"),
        (401, PAGE.format("401 Authorization Required")),
        (403, "authorization denied by plugin opa-docker-authz: request rejected by administrative policy"),
    ],
)
def test_what_a_filter_refuses_is_told_as_such_without_its_page(status: int, message: str) -> None:
    found = translate.from_answer(
        status, message, operation="create volume", subject="x", request="POST /volumes/create"
    )
    assert type(found) is errors.Forbidden
    assert "filter" in found.message
    assert "POST /volumes/create" in found.message
    assert "<" not in str(found)


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (502, PAGE.format("502 Bad Gateway"), errors.EngineLost),
        (502, "Bad Gateway", errors.EngineLost),
        (503, PAGE.format("503 Service Unavailable"), errors.EngineUnavailable),
        (503, "Service Unavailable", errors.EngineUnavailable),
        (504, PAGE.format("504 Gateway Time-out"), errors.EngineLost),
        (500, PAGE.format("500 Internal Server Error"), errors.EngineRefused),
    ],
)
def test_a_proxy_that_does_not_reach_the_engine_is_no_answer_of_the_engine_s(
    status: int, message: str, kind: type[errors.EngineError]
) -> None:
    found = translate.from_answer(status, message, operation="do", subject="x")
    assert type(found) is kind
    assert "<" not in str(found)
    assert ("Words for the administrator & others." in str(found)) is message.startswith("<")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ({"status": "Downloading"}, None),
        ({"errorDetail": {"message": "denied", "code": 7}, "error": "old"}, ("denied", 7)),
        ({"errorDetail": {"message": "denied"}}, ("denied", None)),
        ({"error": "denied"}, ("denied", None)),
        ({"error": "denied", "errorDetail": "odd"}, ("denied", None)),
        ({"errorDetail": {}}, ("unknown error", None)),
    ],
)
def test_an_error_inside_a_stream_is_found_whatever_its_shape(
    line: JsonObject, told: tuple[str, int | None] | None
) -> None:
    assert translate.error_in(line) == told


def test_an_absent_network_is_the_containers_trouble_only_where_a_container_is_meant() -> None:
    found = translate.from_answer(404, "network x not found", operation="inspect network", subject="x")
    assert type(found) is errors.ObjectNotFound


def test_a_name_conflict_tells_who_holds_the_name() -> None:
    found = translate.from_answer(
        409, f'The container name "/x" is already in use by container "{ID}"', operation="do", subject="x"
    )
    assert isinstance(found, errors.NameConflict)
    assert found.holder == ID


@pytest.mark.parametrize(
    ("raw", "message"),
    [('{"message": "broken"}', "broken"), ('{"cause": "worse"}', "worse"), ("{not json", "{not json")],
)
def test_a_body_that_was_not_decoded_is_decoded(raw: str, message: str) -> None:
    assert translate.from_answer(500, raw, operation="do", subject="x").message == message


@pytest.mark.parametrize(
    ("cause", "kind"),
    [
        (ConnectionRefusedError(111, "refused"), errors.EngineUnavailable),
        (PermissionError(13, "denied"), errors.EngineUnavailable),
        (OSError(107, "not connected"), errors.EngineUnavailable),
        (aiohttp.ConnectionTimeoutError(), errors.EngineUnavailable),
        (aiohttp.ServerDisconnectedError(), errors.EngineLost),
        (ConnectionResetError(104, "reset"), errors.EngineLost),
        (TimeoutError(), errors.EngineTimeout),
        (translate.UnreadableAnswer("no JSON"), errors.EngineLost),
    ],
)
def test_a_broken_connection_says_whether_the_engine_can_have_seen_the_request(
    cause: Exception, kind: type[errors.EngineError]
) -> None:
    assert type(translate.from_exception(cause, operation="do", subject="x")) is kind


def test_the_real_cause_is_read_from_behind_the_status_900() -> None:
    failed = DockerError(900, "Cannot connect")
    failed.__context__ = PermissionError(13, "denied")
    found = translate.from_exception(failed, operation="do", subject="x")
    assert isinstance(found, errors.EngineUnavailable)
    assert "no permission" in found.message


def test_an_answer_inside_an_exception_is_read_as_an_answer() -> None:
    found = translate.from_exception(DockerError(404, "No such container: x"), operation="do", subject="x")
    assert type(found) is errors.ObjectNotFound


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("toomanyrequests: You have reached your pull rate limit", PullReason.LIMITED),
        ("http: server gave HTTP response to HTTPS client", PullReason.INSECURE),
        ("no matching manifest for linux/arm64 in the manifest list", PullReason.PLATFORM),
        ("pull access denied for x, repository does not exist", PullReason.DENIED),
        ("dial tcp 127.0.0.1:9: connect: connection refused", PullReason.NETWORK),
        ("net/http: TLS handshake timeout", PullReason.NETWORK),
        ("manifest for x:1 not found: manifest unknown", PullReason.UNKNOWN),
        ("out of cheese", PullReason.UNCLEAR),
    ],
)
def test_a_failed_pull_has_its_reason_by_what_is_said_of_it(message: str, reason: PullReason) -> None:
    found = translate.pull_failure(message, subject="x:1")
    assert isinstance(found, errors.PullError)
    assert found.reason is reason
    assert copy.copy(found).reason is reason


def test_what_code_of_sites_compares_a_pulls_reason_with_stays() -> None:
    words = ["denied", "limited", "unknown", "platform", "insecure", "network", ""]
    assert list(PullReason) == words
