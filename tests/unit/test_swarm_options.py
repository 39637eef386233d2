"""SwarmSpawner's options, as values of one launch."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from docker.types import DriverConfig, Mount
from hypothesis import given
from hypothesis import strategies as st
from traitlets import TraitError

from asyncdockerspawner import errors
from asyncdockerspawner.spawners.launch_inputs import launch_inputs
from asyncdockerspawner.spawners.service_inputs import files_wanted, service_inputs, swarm_inputs
from asyncdockerspawner.spawners.swarm import SwarmSpawner
from asyncdockerspawner.workloads.launch import SwarmInputs
from asyncdockerspawner.workloads.service.body import build_service
from asyncdockerspawner.workloads.service.files import FileWanted
from tests.support.dockerspawner_14 import make

GIB = 2**30
SPECS = {
    "extra_container_spec": "extra_container",
    "extra_task_spec": "extra_task",
    "extra_resources_spec": "extra_resources",
    "extra_placement_spec": "extra_placement",
    "extra_endpoint_spec": "extra_endpoint",
    "volume_driver_options": "volume_driver_options",
}
TOP_SECRET = "hunter2"


class Spawner(SwarmSpawner):
    """Needs no Hub to say what it would create."""

    def get_env(self) -> dict[str, Any]:
        return {}


def spawner(options: dict[str, Any] | None = None, **words: Any) -> Any:
    return make(Spawner, options, **words)[0]


def fails_with_it(made: Any) -> Any:
    raise KeyError(TOP_SECRET)


async def refused(options: dict[str, Any], **words: Any) -> str:
    with pytest.raises(errors.AsyncDockerSpawnerError) as caught:
        await files_wanted(spawner(options, **words))
    assert TOP_SECRET not in f"{caught.value!r} {caught.value.__cause__!r}"
    return str(caught.value)


def test_defaults_are_a_swarms() -> None:
    made = spawner()
    assert (made.network_name, made.use_internal_ip, made.pull_policy) == ("", True, "skip")
    assert made.healthcheck == "none"
    assert (made.object_type, made.object_id_key) == ("service", "ID")
    assert spawner({"network_name": "bridge"}).use_internal_ip is False


def test_a_service_is_always_removed() -> None:
    made = spawner({"remove_containers": False})
    made.remove = False
    assert (made.remove, made.will_resume) == (True, False)
    assert "remove" not in Spawner.class_traits()


def test_the_former_members_are_here() -> None:
    made = spawner({"volume_driver": "nfs", "volume_driver_options": {"o": "rw"}})
    made.object_id = "abc"
    assert (made.service_id, made.service_name) == ("abc", "jupyter-alice")
    assert made.mount_driver_config == {"Name": "nfs", "Options": {"o": "rw"}}
    assert spawner({"volume_driver": "nfs"}).mount_driver_config == {"Name": "nfs"}
    assert spawner({"volume_driver_options": {"o": "rw"}}).mount_driver_config is None


async def test_without_options_nothing_is_asked_for() -> None:
    assert await swarm_inputs(spawner()) == SwarmInputs()
    assert (await launch_inputs(spawner())).healthcheck == {"test": ["NONE"]}


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("image", None),
        ("none", {"test": ["NONE"]}),
        ("NONE", {"test": ["NONE"]}),
        ({"test": ["CMD", "curl", "localhost/{username}"]}, {"test": ["CMD", "curl", "localhost/alice"]}),
    ],
)
async def test_a_healthcheck_is_said_in_one_word_or_in_full(option: Any, expected: Any) -> None:
    assert (await launch_inputs(spawner({"healthcheck": option}))).healthcheck == expected


def test_a_healthcheck_is_no_other_word() -> None:
    with pytest.raises(TraitError, match="healthcheck"):
        spawner({"healthcheck": "always"})


def texts(made: Any) -> dict[str, Any]:
    return {"user": made.user.name, "node": "{{.Node.Hostname}}-{username}", "list": ["{prefix}"]}


async def texts_later(made: Any) -> dict[str, Any]:
    return texts(made)


@pytest.mark.parametrize("option", SPECS)
@pytest.mark.parametrize("kind", ["value", "def", "async def"])
async def test_each_is_a_value_or_a_function_and_its_templates_are_rendered(option: str, kind: str) -> None:
    value = {"value": texts(spawner()), "def": texts, "async def": texts_later}[kind]
    found = await swarm_inputs(spawner({option: value}))
    expected = {"user": "alice", "node": "{{.Node.Hostname}}-alice", "list": ["jupyter"]}
    assert getattr(found, SPECS[option]) == expected
    others = set(SPECS.values()) - {SPECS[option]}
    assert {name: getattr(found, name) for name in others} == {name: {} for name in others}


@pytest.mark.parametrize("option", SPECS)
async def test_a_function_that_fails_is_named(option: str) -> None:
    def fails(made: Any) -> dict[str, Any]:
        raise KeyError(made.user.name)

    with pytest.raises(errors.SiteCodeFailed, match=f"`{option}`: the configured function failed"):
        await swarm_inputs(spawner({option: fails}))
    with pytest.raises(errors.BadOption, match=f"`{option}` has to give a dictionary, not 5"):
        await swarm_inputs(spawner({option: lambda _: 5}))
    with pytest.raises(errors.BadTemplate, match=f"^{option}: "):
        await swarm_inputs(spawner({option: {"a": "{username.x}"}}))


async def test_the_other_values_are_taken_as_they_are() -> None:
    found = await swarm_inputs(
        spawner(
            {
                "extra_networks": ["data"],
                "mem_guarantee": "1G",
                "cpu_guarantee": 0.5,
                "volume_driver": "nfs",
                "stop_timeout": 30,
            }
        )
    )
    assert found == SwarmInputs(
        networks=("data",), mem_guarantee=GIB, cpu_guarantee=0.5, volume_driver="nfs", stop_grace=30
    )


class MountsVolumesItself(Spawner):
    """As public configurations have it for DockerSpawner's, whose own mounts could not be volumes."""

    @property
    def mounts(self) -> Any:
        return [
            Mount(target=bind["bind"], source=source, type="volume", read_only=bind["mode"] == "ro")
            for source, bind in self.volume_binds.items()
        ]


class HasADriverOfItsOwn(Spawner):
    """Names the driver in its own way."""

    @property
    def mount_driver_config(self) -> Any:
        return DriverConfig("nfs", {"o": f"user={self.user.name}"}) if self.user.name != "bob" else None


async def test_the_engines_templates_stay_in_names_of_volumes_and_paths() -> None:
    made = spawner(
        {"volumes": {"{{.Node.Hostname}}-{username}": "/w", "/data/{{.Node.ID}}/{username}": "/{username}"}}
    )
    mounts = build_service(await service_inputs(made))["TaskTemplate"]["ContainerSpec"]["Mounts"]
    assert [(each["Type"], each["Source"], each["Target"]) for each in mounts] == [
        ("volume", "{{.Node.Hostname}}-alice", "/w"),
        ("bind", "/data/{{.Node.ID}}/alice", "/alice"),
    ]


async def test_a_subclass_that_mounts_volumes_itself_is_not_asked_for_them_twice() -> None:
    made = make(MountsVolumesItself, {"volumes": {"v-{username}": "/w"}, "read_only_volumes": {"r": "/r"}})[0]
    mounts = build_service(await service_inputs(made))["TaskTemplate"]["ContainerSpec"]["Mounts"]
    assert [(each["Type"], each["Source"], each["Target"], each["ReadOnly"]) for each in mounts] == [
        ("volume", "v-alice", "/w", False),
        ("volume", "r", "/r", True),
    ]


async def test_a_subclass_that_names_the_driver_is_asked_for_it() -> None:
    found = await swarm_inputs(make(HasADriverOfItsOwn)[0])
    assert (found.volume_driver, found.volume_driver_options) == ("nfs", {"o": "user=alice"})
    none = await swarm_inputs(make(HasADriverOfItsOwn, {"volume_driver": "x"}, username="bob")[0])
    assert (none.volume_driver, none.volume_driver_options) == ("", {})


async def test_files_are_texts_bytes_or_functions() -> None:
    async def key(made: Any) -> bytes:
        return bytes(made.user.name, "utf-8")

    made = spawner(
        {
            "secrets": {
                "token": "{username}é",
                "/home/{username}/key.pem": {"content": key, "uid": 1000, "gid": 100, "mode": 0o400},
                "sub/dir": lambda made: made.user.name,
            },
            "configs": lambda _: {"/etc/{prefix}.json": b"\xff{}"},
        }
    )
    found = await files_wanted(made)
    assert found.secrets == [
        FileWanted(target="token", data="{username}é".encode()),
        FileWanted(target="/home/alice/key.pem", data=b"alice", uid=1000, gid=100, mode=0o400),
        FileWanted(target="sub/dir", data=b"alice"),
    ]
    assert found.configs == [FileWanted(target="/etc/jupyter.json", data=b"\xff{}")]
    assert "alice" not in repr(found.secrets[2])
    nothing = await files_wanted(spawner())
    assert (nothing.secrets, nothing.configs) == ([], [])


@pytest.mark.parametrize("option", ["secrets", "configs"])
@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"a": ""}, "['a'] has 0 bytes; a swarm takes from 1 to"),
        ({"a": None}, "['a'] has to be a text or bytes, not a value of the type NoneType"),
        ({"a": 5}, "not a value of the type int"),
        ({"a": [TOP_SECRET]}, "not a value of the type list"),
        ({"a": {}}, "not a value of the type NoneType"),
        ({"a": {"data": TOP_SECRET}}, "has 'data'; it has content, uid, gid and mode"),
        (
            {"a": {"content": TOP_SECRET, "mode": "400"}},
            "mode is '400', but it must be a number, such as 0o400",
        ),
        ({"a": {"content": TOP_SECRET, "uid": -1}}, "uid is -1"),
        ({"a": {"content": TOP_SECRET, "gid": True}}, "gid is True"),
        ({"a": {"content": TOP_SECRET, "mode": 0o10000}}, "mode is 4096"),
        ({"": TOP_SECRET}, "must be a name or an absolute path"),
        ({"/": TOP_SECRET}, "must be a name or an absolute path"),
        ({"../a": TOP_SECRET}, "must be a name or an absolute path"),
        ({"/a//b": TOP_SECRET}, "must be a name or an absolute path"),
        ({"a\0b": TOP_SECRET}, "must be a name or an absolute path"),
        ({"{0}": TOP_SECRET}, "fields need a name"),
        (lambda _: [TOP_SECRET], "has to give a dictionary, not a value of the type list"),
        (fails_with_it, "the configured function failed with KeyError"),
        ({"a": fails_with_it}, "['a']: the configured function failed with KeyError"),
    ],
)
async def test_files_that_no_server_could_have_are_told_without_what_is_in_them(
    option: str, files: Any, said: str
) -> None:
    told = await refused({option: files})
    assert said in told
    assert option in told


async def test_a_file_is_as_large_as_a_swarm_takes_it() -> None:
    fits = await files_wanted(spawner({"secrets": {"a": "x" * 511_999}, "configs": {"a": "x" * 1_023_999}}))
    assert (len(fits.secrets[0].data), len(fits.configs[0].data)) == (511_999, 1_023_999)
    assert "from 1 to 511999" in await refused({"secrets": {"a": "x" * 512_000}})
    assert "from 1 to 1023999" in await refused({"configs": {"a": "x" * 1_024_000}})


@pytest.mark.parametrize("name", ["..", "../../etc", "a/b", "x\0", "."])
async def test_no_users_name_leads_a_file_elsewhere(name: str) -> None:
    told = await refused({"secrets": {"/home/{raw_username}/key": TOP_SECRET}}, username=name)
    assert "must be a name or an absolute path" in told


def test_no_error_shows_a_secret_that_is_no_dictionary() -> None:
    with pytest.raises(TraitError) as caught:
        spawner().secrets = TOP_SECRET
    assert TOP_SECRET not in str(caught.value)


NAMED_AFTER_THE_USER: dict[str, Any] = {
    "volumes": {"data-{raw_username}": "/w", "/home/{raw_username}": {"bind": "/h/{username}", "mode": "ro"}},
    "mounts": [{"target": "/m/{username}", "source": "m-{raw_username}"}],
    "volume_driver_options": {"o": "addr=10.0.0.9,user={raw_username}", "device": ":/x/{username}"},
    "extra_placement_spec": {"constraints": ["node.labels.user=={username}", "node.role==worker"]},
    "extra_container_spec": {"env": {"WHO": "{raw_username}"}, "hostname": "h-{username}"},
    "extra_host_config": {"binds": ["b-{raw_username}:/b"], "tmpfs": {"/t/{raw_username}": "size=1m"}},
    "secrets": {"/run/{raw_username}/key": "x"},
}
hostile = st.text(st.sampled_from("ab/.:,=|{}[]\\\0\n~$ \t'\"é&!"), min_size=1, max_size=8)


@given(name=hostile)
def test_whatever_a_user_is_called_the_service_is_shaped_alike_or_refused(name: str) -> None:
    def shape(username: str) -> Any:
        made = spawner(NAMED_AFTER_THE_USER, username=username)
        container, task, files = asyncio.run(asked(made))
        return (
            [(each["Type"], each.get("ReadOnly"), sorted(each)) for each in container["Mounts"]],
            [each.count("==") for each in task["Placement"]["Constraints"]],
            [each.partition("=")[0] for each in container["Env"]],
            sorted(container),
            [each.target.count("/") for each in files.secrets],
        )

    async def asked(made: Any) -> Any:
        task = build_service(await service_inputs(made))["TaskTemplate"]
        return task["ContainerSpec"], task, await files_wanted(made)

    try:
        found = shape(name)
    except errors.AsyncDockerSpawnerError:
        return
    assert found == shape("alice")


HOSTILE = {
    "extra_placement_spec": {"constraints": ["node.role==manager"]},
    "placement": {"constraints": ["node.role==manager"]},
    "constraints": ["node.role==manager"],
    "mounts": [{"source": "/", "target": "/host", "type": "bind"}],
    "volumes": {"/": "/host"},
    "secrets": {"SecretID": "others"},
    "configs": {"a": "b"},
    "extra_container_spec": {"image": "evil"},
    "node": "manager",
    "image": ["evil"],
}


async def test_what_a_user_asks_for_reaches_nothing_of_a_service() -> None:
    plain, asked = spawner(), spawner()
    asked.user_options = HOSTILE

    async def body(made: Any) -> Any:
        return build_service(await service_inputs(made)), await files_wanted(made)

    ours, theirs = await body(plain), await body(asked)
    for document, _ in (ours, theirs):
        for marks in (document["Labels"], document["TaskTemplate"]["ContainerSpec"]["Labels"]):
            marks.pop("asyncdockerspawner.spawn")
    assert ours == theirs
