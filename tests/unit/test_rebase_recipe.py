"""How an image is made on another base: what goes into the build, and what is said about its end."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tarfile
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncdockerspawner.errors import BadOption
from asyncdockerspawner.rebase import recipe

HEX = "0123456789abcdef" * 4


def made(**words: Any) -> recipe.Recipe:
    return recipe.Recipe(**{"base": "debian:12", "tag": "hub/lab:1", "hub_version": "6.1.1", **words})


def instructions(wanted: recipe.Recipe) -> list[tuple[str, str]]:
    lines = recipe.dockerfile(wanted, "m").splitlines()
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def scripts(wanted: recipe.Recipe) -> list[str]:
    return [json.loads(rest)[-1] for word, rest in instructions(wanted) if word == "RUN"]


@pytest.mark.parametrize(
    "base",
    [
        "alpine",
        "ubuntu:24.04",
        "quay.io/a/b_c--d:x.y-Z",
        "reg:5000/x",
        "[::1]:5000/x",
        f"a/b:1@sha256:{HEX}",
        HEX,
    ],
)
def test_image_references_are_taken(base: str) -> None:
    assert ("FROM", f"{base} AS runtime") in instructions(made(base=base))


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ({"base": "x\nRUN evil"}, "base"),
        ({"base": "x AS runtime"}, "base"),
        ({"base": "$BASE"}, "base"),
        ({"base": "UP:1"}, "base"),
        ({"base": ""}, "base"),
        ({"base": "--platform=x"}, "base"),
        ({"base": "scratch"}, "base"),
        ({"tag": f"a@sha256:{HEX}"}, "tag"),
        ({"tag": HEX}, "tag"),
        ({"tag": "a b"}, "tag"),
        ({"tag": 'a"'}, "tag"),
        ({"user": "root"}, "user"),
        ({"user": "a b"}, "user"),
        ({"user": "a'"}, "user"),
        ({"hub_version": "6;x"}, "version"),
        ({"hub_version": ">=6"}, "version"),
        ({"hub_version": "6.1.1\nx"}, "version"),
        ({"pip": ("a\nb",)}, "requirement"),
        ({"pip": (" ",)}, "requirement"),
        ({"pip": ("numpy", " --index-url=x")}, "requirement"),
    ],
)
def test_what_cannot_go_into_a_dockerfile_is_refused_by_name(words: dict[str, Any], named: str) -> None:
    with pytest.raises(BadOption, match=named):
        made(**words)


@given(st.text())
def test_no_base_adds_an_instruction(base: str) -> None:
    try:
        wanted = made(base=base)
    except BadOption:
        return
    assert [word for word, _ in instructions(wanted)] == [word for word, _ in instructions(made())]


@pytest.mark.parametrize("version", ["6.1.1", "6.1.*", "5.5.4", "6.2.0b1", "6.2.0.dev"])
def test_versions_of_the_hub_are_taken(version: str) -> None:
    assert recipe.requirements(made(hub_version=version)).splitlines()[0] == f"jupyterhub=={version}"


def test_requirements_are_lines_of_a_file_and_no_word_of_a_script() -> None:
    wanted = made(pip=("numpy>=2; python_version > '3'", "$(touch /evil)"))
    assert recipe.requirements(wanted).splitlines()[1:] == ["jupyterlab", *wanted.pip]
    assert "evil" not in recipe.dockerfile(wanted, "m")


def test_the_image_runs_the_single_user_server_as_the_user() -> None:
    last = dict(instructions(made())[-7:])
    assert last["USER"] == "jovyan"
    assert last["WORKDIR"] == "/home/jovyan"
    assert last["EXPOSE"] == "8888"
    assert last["CMD"] == '["jupyterhub-singleuser"]'
    assert last["ENV"].startswith("PATH=/opt/jupyter/bin:$PATH HOME=/home/jovyan ")


def test_only_the_environment_is_taken_out_of_the_stage_that_has_the_context() -> None:
    copies = [rest for word, rest in instructions(made()) if word == "COPY"]
    assert copies == ["rebase /rebase", "--from=build /opt/jupyter /opt/jupyter"]
    begins = [rest for word, rest in instructions(made()) if word == "FROM"]
    assert begins == ["debian:12 AS runtime", "runtime AS build", "runtime"]


def test_the_stage_that_is_left_can_be_found() -> None:
    words = [word for word, _ in instructions(made())]
    assert words.index("LABEL") == words.index("COPY") - 1
    assert ("LABEL", "asyncdockerspawner.rebase=m") in instructions(made())


def test_an_entrypoint_is_kept_or_given_up() -> None:
    assert not [rest for word, rest in instructions(made()) if word == "ENTRYPOINT"]
    assert ("ENTRYPOINT", "[]") in instructions(made(entrypoint=False))


def test_from_wheels_no_index_is_asked() -> None:
    assert "--no-index" in scripts(made(offline=True))[1]
    assert "--no-index" not in scripts(made())[1]


def test_another_user_is_made_everywhere() -> None:
    wanted = made(user="ada")
    assert "jovyan" not in recipe.dockerfile(wanted, "m")
    assert ("USER", "ada") in instructions(wanted)


@pytest.mark.parametrize("shell", ["sh", "bash"])
@pytest.mark.parametrize("script", scripts(made()), ids=["prepare", "install"])
def test_the_scripts_can_be_read_by_a_shell(shell: str, script: str) -> None:
    assert (program := shutil.which(shell)) is not None
    assert subprocess.run([program, "-n", "-c", script], check=False).returncode == 0


def test_pips_configuration_is_that_of_its_environment_here() -> None:
    environ = {
        "PIP_INDEX_URL": "https://u:p%40@x/simple",
        "PIP_TRUSTED_HOST": "",
        "PIP_USER": "1",
        "HOME": "/",
    }
    assert recipe.pip_conf(environ, certificates=False) == "[global]\nindex-url = https://u:p%40@x/simple\n"
    assert recipe.pip_conf({}, certificates=True) == "[global]\ncert = /rebase/ca.pem\n"
    with pytest.raises(BadOption, match="extra-index-url"):
        recipe.pip_conf({"PIP_EXTRA_INDEX_URL": "a\nb"}, certificates=False)


def test_proxies_are_taken_over_under_both_spellings() -> None:
    environ = {"http_proxy": "http://p:1", "NO_PROXY": "x", "HTTPS_PROXY": "", "PATH": "/"}
    assert recipe.proxies(environ) == {"http_proxy": "http://p:1", "NO_PROXY": "x"}


def test_an_archive_has_its_files_and_is_the_same_every_time() -> None:
    files = [("Dockerfile", b"FROM x\n"), ("rebase/a", b"")]
    packed = recipe.archive(files)
    assert packed == recipe.archive(files)
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        found = {entry.name: entry for entry in tar}
        assert list(found) == ["Dockerfile", "rebase/a"]
        file = tar.extractfile(found["Dockerfile"])
        assert file is not None
        assert file.read() == b"FROM x\n"


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ({"stream": "Collecting x\n"}, "Collecting x\n"),
        ({"stream": "Step 1/2 : FROM x"}, "Step 1/2 : FROM x"),
        ({"stream": 'Step 2/2 : RUN ["sh", "# Why\\nmore"]'}, 'Step 2/2 : RUN ["sh", "# Why'),
        ({"status": "Pulling fs layer", "id": "abc"}, "abc: Pulling fs layer\n"),
        ({"status": "Digest: sha256:0"}, "Digest: sha256:0\n"),
        ({"status": "Downloading", "id": "abc", "progressDetail": {"current": 1}}, ""),
        ({"aux": {"ID": "x"}}, ""),
        ({}, ""),
    ],
)
def test_of_the_engines_lines_is_shown_what_can_be_read(line: dict[str, Any], text: str) -> None:
    assert recipe.shown(line) == text


@pytest.mark.parametrize(
    ("text", "image"),
    [
        (" ---> 0123456789ab\n", "0123456789ab"),
        (" ---> Using cache\n", None),
        ("x ---> 0123456789ab\n", None),
    ],
)
def test_the_image_after_a_step_is_read(text: str, image: str | None) -> None:
    assert recipe.layer(text) == image


@pytest.mark.parametrize(
    ("step", "code", "pull", "said"),
    [
        ("Step 1/14 : FROM debian:12 AS runtime", None, True, "could not be fetched: why. .* say --no-pull"),
        (
            "Step 1/14 : FROM debian:12 AS runtime",
            None,
            False,
            r"could not be fetched: why. Is its name right\?",
        ),
        ("Step 3/14 : RUN [...]", 1, True, "preparing it failed with exit code 1"),
        ("Step 7/14 : RUN [... /rebase/requirements.txt]", 2, True, "installing JupyterHub .* exit code 2"),
        ("Step 9/14 : COPY x y", None, True, "^The Engine could not build the image: why$"),
        ("", None, True, "^The Engine could not build the image: why$"),
    ],
)
def test_a_build_that_fails_says_at_what(step: str, code: int | None, pull: bool, said: str) -> None:
    from_here = recipe.explained(made(pull=pull), step, "why", code)
    with pytest.raises(ValueError, match=said):
        raise ValueError(from_here)
    assert ("--no-pull" in from_here) is (pull and step.startswith("Step 1/"))


@pytest.mark.parametrize("output", ["6.1.1\n", "Welcome to\nCUDA 12.4\n\n6.0.0\n", "6.0.0b1"])
def test_a_version_of_the_hubs_major_is_right(output: str) -> None:
    assert recipe.verdict(made(), 0, output) is None
    assert recipe.verdict(made(hub_version="6.*"), 0, output) is None


def test_another_major_version_is_told_with_both() -> None:
    said = recipe.verdict(made(), 0, "5.5.4\n")
    assert said is not None
    assert "JupyterHub 5.5.4 and the Hub is 6.1.1" in said
    assert recipe.verdict(made(), 0, "16.0.0\n") is not None


@pytest.mark.parametrize(("code", "output"), [(1, "6.1.1\n"), (127, "not found"), (0, ""), (0, "usage: x\n")])
def test_a_program_that_tells_no_version_is_told_with_its_words(code: int, output: str) -> None:
    said = recipe.verdict(made(), code, output)
    assert said is not None
    assert f"ended with {code}" in said
    assert output.strip() in said
    assert "--no-entrypoint" in said
    assert "--no-entrypoint" not in str(recipe.verdict(made(entrypoint=False), code, output))


def test_the_configuration_names_the_image() -> None:
    assert 'c.DockerSpawner.image = "hub/lab:1"' in recipe.configuration(made())
    assert made().named == ("hub/lab", "1")
    assert made(tag="lab").named == ("lab", "latest")
