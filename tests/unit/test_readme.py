"""The manual says what the classes have."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from traitlets import TraitType

from asyncdockerspawner import DockerSpawner, SystemUserSpawner, SystemUserSwarmSpawner
from asyncdockerspawner.keywords import host, service_host
from asyncdockerspawner.names import naming
from asyncdockerspawner.spawners.options import deprecated
from asyncdockerspawner.spawners.options.per_spawn import FunctionOr
from asyncdockerspawner.spawners.swarm import SwarmSpawner
from asyncdockerspawner.workloads.furnishing import CERTIFICATES
from tests.support.dockerspawner_14 import make

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()
COMPUTED = {
    "concurrent_starts",
    "escape",
    "format_volume_name",
    "host_ip",
    "hub_id",
    "image",
    "name_template",
    "stop_timeout",
    "use_internal_ip",
}
"""Options whose default the table says in words, because it depends on something."""
OPTIONS = README.split("### Options")[1].split("\n### ")[0]
OF_A_SWARM = README.split("### Options of SwarmSpawner")[1].split("\n## ")[0]
OF_SYSTEM_USERS = README.split("### Options of SystemUserSpawner")[1].split("\n### ")[0]
FORMER = {*deprecated.ALIASES, *deprecated.WITHOUT_EFFECT, *deprecated.REMOVED}


def rows() -> dict[str, str]:
    """Give the defaults that the table of options tells."""
    return dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", OPTIONS.split("| former name |")[0], re.MULTILINE))


def rows_of_a_swarm() -> dict[str, str]:
    """Give the defaults that the table of SwarmSpawner's options tells; "" where it tells none."""
    return rows_of(OF_A_SWARM)


def rows_of(section: str) -> dict[str, str]:
    found = re.findall(r"^\| `(\w+)` \|(.*?)\|", section, re.MULTILINE)
    return {name: default.strip() for name, default in found}


def former() -> dict[str, str]:
    """Give what the table of former names tells."""
    table = OPTIONS.split("| former name |")[1]
    found = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| (.+?) \|$", table, re.MULTILINE)
    return {name: today for names, today in found for name in re.findall(r"\w+", names)}


def own_options() -> dict[str, TraitType[Any, Any]]:
    return {
        name: trait
        for name, trait in DockerSpawner.class_traits(config=True).items()
        if trait.this_class.__module__.startswith("asyncdockerspawner.")
    }


def test_the_tables_have_every_option_of_ours_and_no_other() -> None:
    assert set(rows()) == set(own_options()) - FORMER
    assert set(former()) == set(own_options()) & FORMER == FORMER


def test_it_says_where_a_server_has_its_certificates() -> None:
    assert f"in `{CERTIFICATES}`\n  of its container" in README


def test_the_table_is_in_alphabetical_order() -> None:
    assert list(rows()) == sorted(rows())


def test_the_table_tells_the_defaults() -> None:
    told = {name: default for name, default in rows().items() if name not in COMPUTED}
    spawner = make(DockerSpawner)[0]
    assert {name: default.strip("`") for name, default in told.items()} == {
        name: str(getattr(spawner, name)) for name in told
    }


def test_the_table_of_former_names_tells_todays() -> None:
    told = former()
    aliases = {name: today.strip("`") for name, today in told.items() if name in deprecated.ALIASES}
    assert aliases == {name: new for name, (new, _) in deprecated.ALIASES.items()}
    assert {name for name, today in told.items() if "without effect" in today} == set(
        deprecated.WITHOUT_EFFECT
    )
    assert {name: today for name, today in told.items() if "an error" in today} == {
        name: f"an error: `{new}`" for name, new in deprecated.REMOVED.items()
    }


def test_the_options_that_take_functions_are_told() -> None:
    sentence = re.search(r"Functions of the spawner.*?\bin (`.*?)\.\n", OPTIONS, re.DOTALL)
    assert sentence is not None
    assert re.findall(r"`(\w+)`", sentence[1]) == sorted(
        name for name, trait in own_options().items() if isinstance(trait, FunctionOr)
    )


def test_the_table_of_a_swarm_has_what_swarmspawner_adds() -> None:
    added = set(SwarmSpawner.class_traits(config=True)) - set(DockerSpawner.class_traits(config=True))
    assert list(rows_of_a_swarm()) == sorted(added)
    spawner = make(SwarmSpawner)[0]
    assert {name: told.strip("`") for name, told in rows_of_a_swarm().items()} == {
        name: str(getattr(spawner, name)) for name in rows_of_a_swarm()
    }


def test_the_table_of_system_users_has_what_systemuserspawner_adds() -> None:
    traits = SystemUserSpawner.class_traits(config=True)
    told = rows_of(OF_SYSTEM_USERS)
    assert list(told) == sorted(set(traits) - set(DockerSpawner.class_traits(config=True)))
    spawner = make(SystemUserSpawner)[0]
    assert {name: default.strip("`") for name, default in told.items()} == {
        name: str(getattr(spawner, name)) for name in told
    }
    functions = set(re.findall(r"^\| `(\w+)` \|.*\bfunction\b", OF_SYSTEM_USERS, re.MULTILINE))
    assert functions == {name for name in told if isinstance(traits[name], FunctionOr)}
    assert [name for name in told if len(traits[name].help) < 40] == []


def test_system_users_of_a_swarm_have_the_options_of_both_tables_and_no_other() -> None:
    both = {*rows_of(OF_SYSTEM_USERS), *SwarmSpawner.class_traits(config=True)}
    assert set(SystemUserSwarmSpawner.class_traits(config=True)) == both
    ours, swarm = make(SystemUserSwarmSpawner)[0], make(SwarmSpawner)[0]
    assert [name for name in rows_of_a_swarm() if getattr(ours, name) != getattr(swarm, name)] == []


def test_other_defaults_of_a_swarm_are_told() -> None:
    one, swarm = make(DockerSpawner)[0], make(SwarmSpawner)[0]
    differ = {
        name
        for name in set(own_options()) - FORMER - {"remove"}
        if str(getattr(one, name)) != str(getattr(swarm, name))
    }
    # This one is computed from the network's name.
    assert differ == {"network_name", "pull_policy", "healthcheck", "use_internal_ip"}
    said = " ".join(OF_A_SWARM.split())
    for told in (
        "`network_name` is empty",
        "`pull_policy` is `skip`",
        "`healthcheck` is `none`",
        "(`remove`)",
    ):
        assert told in said


def test_functions_of_a_swarms_options_are_told() -> None:
    told = set(re.findall(r"^\| `(\w+)` \|.*\bfunction\b", OF_A_SWARM, re.MULTILINE))
    traits = SwarmSpawner.class_traits()
    # `secrets` is told by `configs`.
    assert told | {"secrets"} == {name for name in rows_of_a_swarm() if isinstance(traits[name], FunctionOr)}


def test_the_words_of_one_machine_that_a_service_has_are_told() -> None:
    sentence = OF_A_SWARM.split("Of `extra_host_config` these are")[1].split(";")[0]
    homes = {*service_host._HOMES, *service_host._CONVERTED, "CpuQuota"}
    assert set(re.findall(r"`(\w+)`", sentence)) == {
        word for word, (key, _) in host.KEYWORDS.items() if key in homes and word.islower()
    }


def test_every_option_explains_itself() -> None:
    traits = {**DockerSpawner.class_traits(), **SwarmSpawner.class_traits()}
    helps = {name: traits[name].help for name in (*rows(), *rows_of_a_swarm())}
    assert [name for name, text in helps.items() if len(text) < 40] == []


def test_the_table_of_fields_is_complete() -> None:
    fields = naming.namespace(username="u", servername="", image="i", prefix="p", escape=naming.escape_dns)
    told = README.split("Fields of templates:")[1].split("\n\n")[0]
    assert set(re.findall(r"`\{(\w+)\}`", told)) == set(fields)
