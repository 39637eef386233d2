"""The manual says what the classes have."""

from __future__ import annotations

import re
from pathlib import Path

from asyncdockerspawner import DockerSpawner, naming

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()
COMPUTED = {
    "concurrent_starts",
    "escape",
    "format_volume_name",
    "host_ip",
    "hub_id",
    "image",
    "name_template",
    "use_internal_ip",
}
"""Options whose default the table says in words, because it depends on something."""


def rows() -> dict[str, str]:
    table = README.split("### Options")[1].split("\n### ")[0]
    return dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", table, re.MULTILINE))


def test_the_table_has_every_option_of_ours_and_no_other() -> None:
    ours = {
        name
        for name, trait in DockerSpawner.class_traits(config=True).items()
        if trait.this_class.__module__.startswith("asyncdockerspawner.")
    }
    assert set(rows()) == ours


def test_the_table_tells_the_defaults() -> None:
    spawner = DockerSpawner
    told = {name: default for name, default in rows().items() if name not in COMPUTED}
    real = {name: spawner.class_traits()[name].default_value for name in told}
    assert {name: default.strip("`") for name, default in told.items()} == {
        name: str({} if repr(value) == "traitlets.Undefined" else value) for name, value in real.items()
    }


def test_every_option_explains_itself() -> None:
    helps = {name: DockerSpawner.class_traits()[name].help for name in rows()}
    assert [name for name, text in helps.items() if len(text) < 40] == []


def test_the_table_of_fields_is_complete() -> None:
    fields = naming.namespace(username="u", servername="", image="i", prefix="p", escape=naming.escape_dns)
    told = README.split("Fields of templates:")[1].split("\n\n")[0]
    assert set(re.findall(r"`\{(\w+)\}`", told)) == set(fields)
