"""What is read of a service's body before it is sent."""

from __future__ import annotations

from typing import Any

from asyncdockerspawner.workloads.body import Body
from asyncdockerspawner.workloads.launch import RunsAs
from asyncdockerspawner.workloads.observed import Observed
from asyncdockerspawner.workloads.service.body import ServiceBody, build_service
from tests.support.service_launch import LABELS
from tests.support.service_launch import service_launch as launch


def body(**changes: Any) -> ServiceBody:
    return ServiceBody(build_service(launch(**changes)))


def test_it_is_a_body() -> None:
    of_a_protocol: Body = body(environment={"A": "1", "B": None, "C": "x=y"})
    assert of_a_protocol.environment == {"A": "1", "B": "", "C": "x=y"}
    assert of_a_protocol.network_mode == "hub"
    assert (of_a_protocol.volume_driver, of_a_protocol.fingerprint) == ("", "")
    assert of_a_protocol.other_account(Observed(id="a", user="5")) == ""
    assert body(network_name="").network_mode == ""
    assert ServiceBody({}).environment == {}
    assert (body(image="i:1").image, ServiceBody({}).image) == ("i:1", "")
    assert (body(runs_as=RunsAs(user="5")).user, body().user) == ("5", "")


def test_what_it_mounts_is_told_by_where_it_lives() -> None:
    nfs = {"name": "local", "options": {"type": "nfs"}}
    found = body(
        binds={"v": {"bind": "/v"}, "/h": {"bind": "/h"}},
        mounts=[
            {"target": "/a"},
            {"target": "/b", "source": "nfs", "driver_config": nfs},
            {"target": "/c", "source": "cloud", "driver_config": {"name": "rclone"}},
            {"target": "/d", "source": "named", "driver_config": {"name": "local"}},
            {"target": "/e", "source": "plain", "no_copy": True},
            {"target": "/f", "type": "tmpfs"},
        ],
    )
    assert list(found.mounted()) == ["v", "/h", "nfs", "cloud", "named", "plain"]
    assert list(found.named_volumes()) == ["v"]
    assert list(found.local_volumes()) == ["v", "named", "plain"]
    assert list(found.bound_paths()) == ["/h"]


def test_a_label_is_put_on_the_service_and_on_its_containers() -> None:
    before = body()
    after = before.labelled({"a": "b"})
    assert after.document["Labels"] == {**LABELS, "a": "b"}
    assert after.document["TaskTemplate"]["ContainerSpec"]["Labels"]["a"] == "b"
    assert "a" not in before.document["Labels"]
    assert ServiceBody({}).labelled({"a": "b"}).document == {
        "Labels": {"a": "b"},
        "TaskTemplate": {"ContainerSpec": {"Labels": {"a": "b"}}},
    }


def test_volumes_that_a_node_has_to_make_can_be_labelled() -> None:
    mounted = {"home-ann": {"bind": "/home", "mode": "rw"}, "/data": {"bind": "/data", "mode": "ro"}}
    body = ServiceBody(build_service(launch(binds=mounted)))
    marked = body.with_volume_labels({"home-ann": {"user": "ann"}, "/data": {"user": "ann"}})
    mounts = {each["Target"]: each for each in marked.document["TaskTemplate"]["ContainerSpec"]["Mounts"]}
    assert mounts["/home"]["VolumeOptions"] == {"Labels": {"user": "ann"}}
    assert "VolumeOptions" not in mounts["/data"]
    assert list(marked.local_volumes()) == ["home-ann"]


def test_no_representation_shows_the_environment() -> None:
    inputs = launch(environment={"JUPYTERHUB_API_TOKEN": "very-secret"})
    assert "very-secret" not in f"{inputs!r}{ServiceBody(build_service(inputs))!r}"
