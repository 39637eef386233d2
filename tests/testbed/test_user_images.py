"""Images whose servers run as other users, and the one that becomes NB_USER as docker-stacks do."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.testbed.engine import ensure_engine
from tests.testbed.user_images import ensure_filled_image, ensure_stacks_stub, ensure_userless_image


def said(image: str, command: str, *, env: Mapping[str, str] | None = None, user: str = "") -> str:
    """Run a shell command in a container of an image; gives what it writes."""
    given = [f"{key}={value}" for key, value in (env or {}).items()]
    body = {"Image": image, "Cmd": ["sh", "-c", command], "Env": given, "User": user, "Tty": True}
    with ensure_engine().client() as http:
        made = http.post("/containers/create", json=body | {"HostConfig": {"NetworkMode": "none"}})
        ref = made.raise_for_status().json()["Id"]
        try:
            http.post(f"/containers/{ref}/start").raise_for_status()
            http.post(f"/containers/{ref}/wait").raise_for_status()
            logs = http.get(f"/containers/{ref}/logs", params={"stdout": 1, "stderr": 1})
            return " ".join(logs.text.split())
        finally:
            http.delete(f"/containers/{ref}", params={"force": 1, "v": 1})


AS_ROOT = "id -un; id -u; id -G; umask; echo $HOME"


@pytest.mark.parametrize(
    ("env", "user", "is_"),
    [
        pytest.param({}, "", "jovyan 1000 100 0022 /home/jovyan", id="its own user"),
        pytest.param(
            {"NB_USER": "alice", "NB_UID": "7001", "NB_GID": "7002", "NB_UMASK": "002"},
            "",
            "alice 7001 7002 100 0002 /home/alice",
            id="the user that it is told",
        ),
        pytest.param({"NB_USER": "alice"}, "7001:0", "alice 7001 0 0022 /home/jovyan", id="of root's group"),
    ],
)
def test_one_made_as_docker_stacks_are_becomes(env: dict[str, str], user: str, is_: str) -> None:
    assert said(ensure_stacks_stub(), AS_ROOT, env=env, user=user) == is_


def test_one_without_its_user_has_only_a_number() -> None:
    assert said(ensure_userless_image(), "id -u; id -g; whoami").endswith("4321 0 whoami: unknown uid 4321")


def test_one_with_content_has_it_for_its_user_alone() -> None:
    listed = said(ensure_filled_image(), "id -u; cd /home/jovyan; stat -c '%n %u %g' * */*")
    assert listed == "1000 empty 1000 100 work 1000 100 work/note 1000 100"
