"""Rendering of templates: what is filled in, what is left, what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncdockerspawner.errors import BadTemplate
from asyncdockerspawner.names.templating import render, render_strict

FIELDS = {"username": "alice", "prefix": "jupyter"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"{username}": ["{prefix}", 1, None]}, {"alice": ["jupyter", 1, None]}),
        (("{username}", "{nosuch}", "{"), ("alice", "{nosuch}", "{")),
        (5, 5),
    ],
)
def test_strings_are_rendered_wherever_they_are(value: Any, expected: Any) -> None:
    assert render(value, FIELDS, option="x") == expected


def test_strict_templates_give_what_they_say() -> None:
    assert render_strict("/a/{{x}}/{username}", FIELDS, option="volumes") == "/a/{x}/alice"


@pytest.mark.parametrize("template", ["/a/{nosuch}", "/a/{", "/a/{}", "{username.x}"])
def test_a_bad_volume_template_is_refused_with_option_template_and_fields(template: str) -> None:
    with pytest.raises(BadTemplate) as caught:
        render_strict(template, FIELDS, option="volumes")
    assert all(word in str(caught.value) for word in ("volumes", template, "username", "prefix"))


OF_THE_ENGINE = [
    "{{.Name}}",
    "{{ .Name }}",
    "{{.ImageName}}/{{.Name}}/{{.ID}}",
    "{{json .}}",
    "{{.}}",
    '{{index .Config.Labels "a.b"}}',
    "{{.Node.Hostname}}-{{.Task.Slot}}",
    "{{if .Name}}x{{else}}y{{end}}",
]


@pytest.mark.parametrize("template", OF_THE_ENGINE)
def test_the_engines_own_templates_arrive_as_they_are_written(template: str) -> None:
    assert render(template, FIELDS, option="x") == template
    assert render_strict(template, FIELDS, option="x") == template
    assert render(f"{{username}}/{template}/{{prefix}}", FIELDS, option="x") == f"alice/{template}/jupyter"


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{x}}", "{x}"),
        ("{{username}}", "{username}"),
        ("{{{username}}}", "{alice}"),
        # What DockerSpawner needed for the Engine's own.
        ("{{{{.Name}}}}", "{{.Name}}"),
        ('{{"a": 1.5}}', '{"a": 1.5}'),
        ("{{ ./run; }}", "{ ./run; }"),
        ("{{.Name}} {nosuch}", "{{.Name}} {nosuch}"),
    ],
)
def test_other_doubled_braces_are_braces(template: str, text: str) -> None:
    assert render(template, FIELDS, option="x") == text


@given(st.text())
def test_what_a_user_wrote_is_never_rendered_again(text: str) -> None:
    assert render("{username}", {"username": text}, option="x") == text
    assert render_strict("{username}", {"username": text}, option="x") == text


def test_one_character_of_a_value_can_be_taken() -> None:
    assert render("/home/{username[0]}/{username}", FIELDS, option="x") == "/home/a/alice"


@pytest.mark.parametrize(
    "template", ["{username[9]}", "{username[x]}", "{username[0].real}", "{username[-1]}"]
)
def test_nothing_else_can_be_looked_up_in_a_value(template: str) -> None:
    with pytest.raises(BadTemplate, match="extra_host_config"):
        render([{"key": template}], FIELDS, option="extra_host_config")
