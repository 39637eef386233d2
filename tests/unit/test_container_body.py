"""The body of a create, from the values of a launch."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from asyncdockerspawner.errors import BadOption
from asyncdockerspawner.names import labels
from asyncdockerspawner.workloads.body import differences
from asyncdockerspawner.workloads.container.body import ContainerBody, build_container
from asyncdockerspawner.workloads.launch import RunsAs
from asyncdockerspawner.workloads.observed import Observed
from tests.support.container_launch import inputs

GIB = 2**30


def host_of(**changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = build_container(inputs(**changes))["HostConfig"]
    return found


def test_the_usual_body_holds_what_is_needed_and_no_more() -> None:
    assert build_container(inputs()) == {
        "Image": "img:1",
        "Env": ["A=1"],
        "ExposedPorts": {"8888/tcp": {}},
        "Labels": {"asyncdockerspawner.user": "alice"},
        "HostConfig": {
            "NetworkMode": "bridge",
            "PortBindings": {"8888/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]},
        },
    }


@pytest.mark.parametrize(
    ("extra", "exposed"),
    [
        ({"port_bindings": {9999: 9999, "53/udp": None}}, {"8888/tcp", "9999/tcp", "53/udp"}),
        ({"PortBindings": {"9999": []}}, {"8888/tcp", "9999/tcp"}),
        ({"port_bindings": None}, {"8888/tcp"}),
    ],
)
def test_what_is_published_is_exposed(extra: dict[str, Any], exposed: set[str]) -> None:
    assert set(build_container(inputs(extra_host=extra))["ExposedPorts"]) == exposed
    unset = build_container(inputs(extra_host=extra, extra_create={"ports": None}))
    assert unset.get("ExposedPorts", {}).keys() == (exposed if extra != {"port_bindings": None} else set())


def test_a_full_launch_is_sent_in_full() -> None:
    body = build_container(
        inputs(
            command=("start.sh", "--x"),
            environment={"A": "1", "NB_UID": 1000, "BARE": None},
            binds={"v": {"bind": "/w", "mode": "rw"}, "/h": {"bind": "/h", "ro": True}},
            mount_points=["/h", "/w"],
            mem_limit=GIB,
            cpu_limit=1.5,
            publish_on=None,
            network_name="hub",
        )
    )
    assert body["Cmd"] == ["start.sh", "--x"]
    assert body["Env"] == ["A=1", "NB_UID=1000", "BARE"]
    assert body["Volumes"] == {"/h": {}, "/w": {}}
    assert body["HostConfig"] == {
        "NetworkMode": "hub",
        "Binds": ["v:/w:rw", "/h:/h:ro"],
        "Memory": GIB,
        "CpuPeriod": 100_000,
        "CpuQuota": 150_000,
    }


def test_as_whom_the_server_runs_is_sent_and_the_site_has_the_last_word() -> None:
    runs_as = RunsAs(user="1001:100", groups=(27, 50), working_dir="/home/alice")
    body = build_container(inputs(runs_as=runs_as))
    assert (body["User"], body["WorkingDir"], body["HostConfig"]["GroupAdd"]) == (
        "1001:100",
        "/home/alice",
        ["27", "50"],
    )
    site = {"extra_create": {"user": "5", "working_dir": "/w"}, "extra_host": {"group_add": [50, "video"]}}
    body = build_container(inputs(runs_as=runs_as, **site))
    assert (body["User"], body["WorkingDir"], body["HostConfig"]["GroupAdd"]) == (
        "5",
        "/w",
        ["27", "50", "video"],
    )


HOME = {"Type": "bind", "Source": "/home/a", "Target": "/h"}
IN_A_HOME: dict[str, Any] = {
    "binds": {"/home/a": {"bind": "/h", "ro": False}, "/d": {"bind": "/d", "mode": "rw"}},
    "runs_as": RunsAs(home="/home/a"),
}


def test_a_home_has_to_be_there() -> None:
    host = host_of(**IN_A_HOME)
    assert (host["Binds"], host["Mounts"]) == (["/d:/d:rw"], [HOME])
    mount = {"Type": "tmpfs", "Target": "/x"}
    host = host_of(**IN_A_HOME, mounts=[mount])
    assert host["Mounts"] == [HOME, mount]


@pytest.mark.parametrize(
    ("extra", "binds", "mounts"),
    [
        ({"mounts": [{"Type": "tmpfs", "Target": "/h"}]}, ["/d:/d:rw"], [{"Type": "tmpfs", "Target": "/h"}]),
        ({"binds": ["/other:/h/"]}, ["/d:/d:rw", "/other:/h/"], None),
        ({"binds": {"/home/a": {"bind": "/h", "mode": "Z"}}}, ["/d:/d:rw", "/home/a:/h:Z"], None),
    ],
)
def test_the_site_may_have_something_else_in_the_homes_place(extra: Any, binds: Any, mounts: Any) -> None:
    host = host_of(**IN_A_HOME, extra_host=extra)
    assert (host["Binds"], host.get("Mounts")) == (binds, mounts)


def test_a_home_that_cannot_be_a_mount_or_is_none_stays_as_it_is() -> None:
    relabelled = {"/home/a": {"bind": "/h", "mode": "z"}}
    assert host_of(binds=relabelled, runs_as=RunsAs(home="/home/a"))["Binds"] == ["/home/a:/h:z"]
    assert "Mounts" not in host_of(binds={}, runs_as=RunsAs(home="/home/a"))


def test_a_healthcheck_is_what_the_site_says() -> None:
    assert "Healthcheck" not in build_container(inputs())
    none = build_container(inputs(healthcheck={"test": ["NONE"]}))
    assert none["Healthcheck"] == {"Test": ["NONE"]}
    over = build_container(
        inputs(healthcheck={"test": ["NONE"]}, extra_create={"healthcheck": {"test": "true"}})
    )
    assert over["Healthcheck"] == {"Test": ["CMD-SHELL", "true"]}


def test_mounts_of_both_options_go_together_and_the_sites_wins_a_path() -> None:
    given = [{"target": "/a", "source": "v"}, {"target": "/b", "type": "tmpfs"}]
    first, second = {"Target": "/a", "Source": "v", "Type": "volume"}, {"Target": "/b", "Type": "tmpfs"}
    assert host_of(mounts=given)["Mounts"] == [first, second]
    site = [{"Target": "/b", "Type": "bind", "Source": "/s"}]
    assert host_of(mounts=given, extra_host={"mounts": site})["Mounts"] == [first, *site]
    assert host_of(extra_host={"mounts": site})["Mounts"] == site
    assert host_of(mounts=given, extra_host={"mounts": []})["Mounts"] == [first, second]


@pytest.mark.parametrize("none", [None, 0])
def test_no_limit_is_not_sent(none: Any) -> None:
    assert {"Memory", "CpuPeriod", "CpuQuota"}.isdisjoint(host_of(mem_limit=none, cpu_limit=none))


def test_the_engines_default_network_is_left_to_the_engine() -> None:
    assert "NetworkMode" not in host_of(network_name="")


def test_removal_at_exit_is_sent_only_where_the_site_asks() -> None:
    assert host_of(extra_host={"auto_remove": True})["AutoRemove"] is True
    assert "AutoRemove" not in host_of()


@pytest.mark.parametrize(
    ("extra_host", "key", "expected"),
    [
        ({"network_mode": "other"}, "NetworkMode", "other"),
        ({"NetworkMode": "other"}, "NetworkMode", "other"),
        ({"mem_limit": "2g"}, "Memory", 2 * GIB),
        ({"mem_limit": None}, "Memory", None),
        ({"cpu_quota": 5000}, "CpuQuota", 5000),
        ({"cpu_period": 50_000}, "CpuQuota", 50_000),
        ({"CpuPeriod": 50_000}, "CpuQuota", 50_000),
        ({"nano_cpus": 5}, "CpuQuota", None),
        ({"nano_cpus": 5}, "NanoCpus", 5),
        ({"port_bindings": {8888: 9000}}, "PortBindings", {"8888/tcp": [{"HostIp": "", "HostPort": "9000"}]}),
        (
            {"port_bindings": {"53/udp": 53}},
            "PortBindings",
            {
                "8888/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}],
                "53/udp": [{"HostIp": "", "HostPort": "53"}],
            },
        ),
        ({"binds": {"x": "/x"}}, "Binds", ["v:/w:rw", "x:/x:rw"]),
        ({"binds": {"v": {"mode": "ro"}}}, "Binds", ["v:/w:ro"]),
        ({"binds": ["x:/x:ro"]}, "Binds", ["v:/w:rw", "x:/x:ro"]),
        ({"binds": ["x:/w:ro"]}, "Binds", ["x:/w:ro"]),
        ({"Binds": ["x:/x:ro"]}, "Binds", ["v:/w:rw", "x:/x:ro"]),
        ({"binds": None}, "Binds", ["v:/w:rw"]),
        ({"links": {"cache": "c"}}, "Links", ["cache:c", "db:d"]),
        ({"links": ["db:other"]}, "Links", ["db:other"]),
        ({"Links": ["a"]}, "Links", ["a", "db:d"]),
        ({"links": None}, "Links", None),
        ({}, "Links", ["db:d"]),
    ],
)
def test_the_sites_host_config_lies_over_the_computed_one(
    extra_host: dict[str, Any], key: str, expected: Any
) -> None:
    found = host_of(
        binds={"v": {"bind": "/w", "mode": "rw"}},
        links={"db": "d"},
        mem_limit=GIB,
        cpu_limit=1,
        extra_host=extra_host,
    )
    assert found.get(key) == expected


@pytest.mark.parametrize(
    ("extra_create", "key", "expected"),
    [
        ({"command": "x y"}, "Cmd", ["x", "y"]),
        ({"command": None}, "Cmd", None),
        ({"user": 0}, "User", "0"),
        ({"ports": [9999]}, "ExposedPorts", {"8888/tcp": {}, "9999/tcp": {}}),
        ({"volumes": ["/y"]}, "Volumes", {"/w": {}, "/y": {}}),
        ({"environment": {"A": "2", "B": "3"}}, "Env", ["A=2", "B=3"]),
        ({"environment": ["B=3"]}, "Env", ["A=1", "B=3"]),
        ({"environment": None}, "Env", ["A=1"]),
        ({"labels": None}, "Labels", {"asyncdockerspawner.user": "alice"}),
    ],
)
def test_the_sites_create_words_lie_over_the_computed_ones(
    extra_create: dict[str, Any], key: str, expected: Any
) -> None:
    body = build_container(inputs(command=["c"], mount_points=["/w"], extra_create=extra_create))
    assert body.get(key) == expected


def test_no_site_label_replaces_ours() -> None:
    site = {"labels": {"asyncdockerspawner.user": "mallory", "site": "x"}}
    assert build_container(inputs(extra_create=site))["Labels"] == {
        "asyncdockerspawner.user": "alice",
        "site": "x",
    }


def test_a_raw_host_config_lies_under_the_computed_one() -> None:
    raw = {"NetworkMode": "other", "OomScoreAdj": 5, "Binds": ["r:/r", "s:/w"], "Runtime": "crun"}
    found = host_of(
        binds={"v": {"bind": "/w"}},
        extra_create={"host_config": raw},
        extra_host={"binds": ["t:/t"], "runtime": "nvidia"},
    )
    assert found["NetworkMode"] == "bridge"
    assert found["OomScoreAdj"] == 5
    assert found["Binds"] == ["r:/r", "v:/w:rw", "t:/t"]
    assert found["Runtime"] == "nvidia"


def test_the_hosts_network_publishes_nothing() -> None:
    for changes in (
        {"network_name": "host"},
        {"extra_host": {"network_mode": "host", "port_bindings": {1: 2}}},
    ):
        body = build_container(inputs(**changes))
        assert "PortBindings" not in body["HostConfig"]
        assert body["ExposedPorts"] == {"8888/tcp": {}}


def test_a_network_shared_with_a_container_neither_publishes_nor_exposes() -> None:
    body = build_container(inputs(extra_host={"network_mode": "container:vpn"}))
    assert body["HostConfig"] == {"NetworkMode": "container:vpn"}
    assert "ExposedPorts" not in body


@pytest.mark.parametrize(
    ("extra_host", "said"),
    [
        ({"nano_cpus": 1, "cpu_quota": 1}, "limits CPU twice"),
        ({"nano_cpus": 1, "cpu_period": 1000}, "limits CPU twice"),
        ({"memswap_limit": "1g"}, "needs a mem_limit"),
        ({"memswap_limit": "1g", "mem_limit": "2g"}, "less than mem_limit"),
        ({"auto_remove": True, "restart_policy": {"Name": "always"}}, "keep one"),
        ({"no_such": 1}, "no_such"),
    ],
)
def test_what_the_engine_would_refuse_is_refused_in_the_options_words(
    extra_host: dict[str, Any], said: str
) -> None:
    with pytest.raises(BadOption, match="extra_host_config") as caught:
        host_of(extra_host=extra_host)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "extra_host",
    [
        {"memswap_limit": -1},
        {"memswap_limit": "2g", "mem_limit": "1g"},
        {"auto_remove": True, "restart_policy": {"Name": "no"}},
        {"restart_policy": {"Name": "always"}},
        {"nano_cpus": 1},
    ],
)
def test_allowed_combinations_pass(extra_host: dict[str, Any]) -> None:
    assert host_of(extra_host=extra_host)["NetworkMode"] == "bridge"


MAC = "02:42:ac:11:00:99"


@pytest.mark.parametrize(
    ("network", "endpoints", "sent"),
    [
        ("bridge", None, {"bridge": {"MacAddress": MAC}}),
        ("", None, {"default": {"MacAddress": MAC}}),
        ("lan", {"lan": {"Aliases": ["a"]}}, {"lan": {"Aliases": ["a"], "MacAddress": MAC}}),
        ("lan", {"lan": None}, {"lan": {"MacAddress": MAC}}),
        ("lan", {"lan": {"MacAddress": "02:42:ac:11:00:01"}}, {"lan": {"MacAddress": "02:42:ac:11:00:01"}}),
        ("lan", {"other": {}}, {"other": {}}),
        ("host", None, None),
    ],
)
def test_an_address_of_the_container_is_one_in_its_network(
    network: str, endpoints: dict[str, Any] | None, sent: dict[str, Any] | None
) -> None:
    extra: dict[str, Any] = {"mac_address": MAC}
    if endpoints is not None:
        extra["networking_config"] = {"EndpointsConfig": endpoints}
    body = build_container(inputs(network_name=network, extra_create=extra))
    assert body["MacAddress"] == MAC
    assert body.get("NetworkingConfig") == (None if sent is None else {"EndpointsConfig": sent})


def test_inputs_are_left_as_they_were_and_the_body_is_json() -> None:
    given = inputs(
        binds={"v": {"bind": "/w"}},
        extra_create={"labels": {"a": "b"}, "host_config": {"Sysctls": {"x": "1"}}},
        extra_host={"binds": {"v": {"mode": "ro"}}, "storage_opt": {"size": "1G"}},
    )
    before = copy.deepcopy(given)
    body = build_container(given)
    body["HostConfig"]["StorageOpt"]["size"] = body["HostConfig"]["Sysctls"]["x"] = "changed"
    body["Labels"]["a"] = "changed"
    assert given == before
    assert json.loads(json.dumps(body)) == body


def test_a_body_tells_what_it_mounts_and_which_of_it_are_volumes_to_be_made_ahead() -> None:
    made = {
        "HostConfig": {
            "Binds": ["v:/data:rw", "/srv/x:/x"],
            "Mounts": [
                {"Target": "/t", "Source": "w", "Type": "volume"},
                {
                    "Target": "/u",
                    "Source": "with-options",
                    "Type": "volume",
                    "VolumeOptions": {"NoCopy": True, "Labels": {"a": "b"}},
                },
                {"Target": "/n", "Source": "uncopied", "VolumeOptions": {"NoCopy": True}},
                {"Target": "/v", "Source": "not-a-volume", "Type": "bind"},
                {"Target": "/tmp", "Type": "tmpfs"},
            ],
            "VolumeDriver": "nfs",
        }
    }
    body = ContainerBody(made)
    assert list(body.mounted()) == ["v", "/srv/x", "w", "with-options", "uncopied", "not-a-volume"]
    assert list(body.named_volumes()) == ["v", "w", "uncopied"]
    assert body.volume_driver == "nfs"
    for nothing in ({}, {"HostConfig": None}, {"HostConfig": {"Binds": None, "Mounts": None}}):
        assert (list(ContainerBody(nothing).mounted()), ContainerBody(nothing).volume_driver) == ([], "")


def test_a_body_tells_whom_it_is_made_for() -> None:
    owner = labels.Owner(hub_id="h", username="u", servername="", spawn_id="s")
    made = {"Image": "i", "Labels": {"a": "b"}, "Env": ["JUPYTERHUB_USER=u", "X"]}
    marked = ContainerBody(made).labelled(labels.ownership_labels_of(owner))
    assert labels.owner_of(marked.document["Labels"]) == owner
    assert (marked.document["Image"], marked.document["Labels"]["a"]) == ("i", "b")
    assert made["Labels"] == {"a": "b"}
    assert ContainerBody({}).labelled({"a": "b"}).document == {"Labels": {"a": "b"}}
    assert marked.environment == {"JUPYTERHUB_USER": "u", "X": ""}
    assert ContainerBody({"User": "1001:100"}).other_account(Observed(id="c", user="1002:100")) == "1002:100"
    assert ContainerBody({"Env": None}).environment == {}


def test_a_body_tells_its_network_and_what_it_is_made_from() -> None:
    body = ContainerBody(build_container(inputs(network_name="lab")))
    other = ContainerBody(build_container(inputs(network_name="lab", image="img:2")))
    assert body.network_mode == "lab"
    assert differences(body.fingerprint, other.fingerprint) == ["image"]


def test_a_private_folder_is_a_volume_of_the_containers_own_where_all_else_is_read_only() -> None:
    assert "Mounts" not in host_of(private_folder="/certs")
    mounted = host_of(private_folder="/certs", extra_host={"read_only": True})["Mounts"]
    assert mounted == [{"Type": "volume", "Target": "/certs"}]
    own = {"Type": "tmpfs", "Target": "/certs"}
    site = {"read_only": True, "mounts": [{"Type": "tmpfs", "Target": "/certs"}]}
    assert host_of(private_folder="/certs", extra_host=site)["Mounts"] == [own]
