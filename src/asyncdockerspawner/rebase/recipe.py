"""How a single-user image is made on another base: Dockerfile, context, and what became of it.

Three stages. The *runtime* is the base with what it lacks: Python, bash, the user. JupyterHub is installed in
a stage of its own, and only the environment is copied onto the runtime: wheels, certificates and the index's
address, which may hold a password, are in no layer of the image and not in its history.
"""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from asyncdockerspawner.errors import BadOption, BadReference
from asyncdockerspawner.images.references import Reference, is_image_id, parse, split_reference
from asyncdockerspawner.jsontypes import JsonObject

VENV = "/opt/jupyter"
STAGE_LABEL = "asyncdockerspawner.rebase"
"""Marks what a build leaves, so that it can be removed."""
PROGRAM = "jupyterhub-singleuser"
LAST_LINES = 10

_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}", re.ASCII)
_VERSION = re.compile(r"[0-9]+(\.[0-9a-z+]+)*(\.\*)?", re.ASCII)
_TOLD_VERSION = re.compile(r"[0-9]+\.[0-9]+\S*", re.ASCII)
_LAYER = re.compile(r" ---> ([0-9a-f]{12,64})\n")

_PIP_WORDS = {
    "PIP_INDEX_URL": "index-url",
    "PIP_EXTRA_INDEX_URL": "extra-index-url",
    "PIP_TRUSTED_HOST": "trusted-host",
    "PIP_DEFAULT_TIMEOUT": "timeout",
}
_PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy")

PREPARE = r"""# What the base lacks
if [ -e {venv} ]; then
    echo "The base has {venv} already: take the image that it was made from as the base." >&2
    exit 1
fi
has_python() {{ python3 -c 'import ensurepip, venv' 2>/dev/null; }}
missing=
command -v bash >/dev/null || missing=bash
if command -v apt-get >/dev/null; then
    has_python || missing="$missing python3-venv"
    if [ -n "$missing" ]; then
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -q
        apt-get install -qy --no-install-recommends $missing
        rm -rf /var/lib/apt/lists/*
    fi
elif command -v apk >/dev/null; then
    has_python || missing="$missing python3"
    [ -z "$missing" ] || apk add --no-cache $missing
elif [ -n "$missing" ] || ! has_python; then
    echo "The base lacks bash or Python 3 with venv, and has neither apt-get nor apk to install them." >&2
    exit 1
fi
if ! grep -q '^{user}:' /etc/passwd; then
    other=$(sed -n 's/^\([^:]*\):[^:]*:1000:.*/\1/p' /etc/passwd | head -n 1)
    if [ -n "$other" ]; then
        sed -i "s|^$other:\([^:]*:1000:[^:]*:[^:]*\):[^:]*:|{user}:\1:/home/{user}:|" /etc/passwd
        for file in /etc/shadow /etc/group /etc/gshadow; do
            [ ! -e $file ] || sed -i "s/^$other:/{user}:/" $file
        done
    elif command -v useradd >/dev/null; then
        useradd --create-home --uid 1000 --shell /bin/bash {user}
    else
        adduser -D -u 1000 -h /home/{user} -s /bin/bash {user}
    fi
fi
mkdir -p /home/{user}/work
chown "$(id -u {user}):$(id -g {user})" /home/{user} /home/{user}/work
"""
"""A base's own user of id 1000 gets our name: whoever has files in volumes, has them under that id."""

INSTALL = r"""# JupyterHub and JupyterLab
for python in python3 /usr/bin/python3; do
    if "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        "$python" -m venv --system-site-packages {venv}
        break
    fi
done
export PIP_CONFIG_FILE=/rebase/pip.conf PIP_NO_INPUT=1
{venv}/bin/pip install --disable-pip-version-check --no-cache-dir --progress-bar off \
    {offline}-r /rebase/requirements.txt
"""
"""With the base's own packages in sight: they are why somebody wants that base."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What shall be made; what cannot go into a Dockerfile is refused with BadOption."""

    base: str
    tag: str
    hub_version: str
    pip: tuple[str, ...] = ()
    user: str = "jovyan"
    pull: bool = True
    entrypoint: bool = True
    offline: bool = False

    def __post_init__(self) -> None:
        base, tag = _reference(self.base), _reference(self.tag)
        if base is None or self.base == "scratch":
            raise BadOption(f"The base {self.base!r} is no image reference: name, name:tag or name@digest.")
        if tag is None or tag.digest or is_image_id(self.tag):
            raise BadOption(f"The tag {self.tag!r} is no image reference: name or name:tag.")
        if not _USER.fullmatch(self.user) or self.user == "root":
            raise BadOption(
                f"The user {self.user!r} cannot be used: lower-case letters and digits, not root."
            )
        if not _VERSION.fullmatch(self.hub_version):
            raise BadOption(f"The Hub's version {self.hub_version!r} is none: such as 6.1.1 or 6.1.*.")
        for requirement in self.pip:
            if not requirement.strip() or not requirement.isprintable() or requirement.lstrip()[0] == "-":
                raise BadOption(f"The requirement {requirement!r} is none: a line of a requirements file.")

    @property
    def named(self) -> tuple[str, str]:
        """Name and tag of the image."""
        return split_reference(self.tag)


def _reference(image: str) -> Reference | None:
    try:
        return parse(image)
    except BadReference:
        return None


def requirements(recipe: Recipe) -> str:
    """Return the requirements file."""
    lines = (f"jupyterhub=={recipe.hub_version}", "jupyterlab", *recipe.pip)
    return "".join(f"{line}\n" for line in lines)


def dockerfile(recipe: Recipe, mark: str) -> str:
    """Return the Dockerfile; what is left of its stages can be found by the label's `mark`."""
    offline = "--no-index --find-links /rebase/wheels " if recipe.offline else ""
    prepare = PREPARE.format(venv=VENV, user=recipe.user)
    install = INSTALL.format(venv=VENV, offline=offline)
    # In exec form, a base's SHELL does not matter.
    lines = [
        f"FROM {recipe.base} AS runtime",
        "USER root",
        f"RUN {json.dumps(['/bin/sh', '-ec', prepare])}",
        "FROM runtime AS build",
        f"LABEL {STAGE_LABEL}={mark}",
        "COPY rebase /rebase",
        f"RUN {json.dumps(['/bin/sh', '-ec', install])}",
        "FROM runtime",
        f"COPY --from=build {VENV} {VENV}",
        f"ENV PATH={VENV}/bin:$PATH HOME=/home/{recipe.user} LANG=${{LANG:-C.UTF-8}} SHELL=/bin/bash",
        f"WORKDIR /home/{recipe.user}",
        f"USER {recipe.user}",
        "EXPOSE 8888",
        *([] if recipe.entrypoint else ["ENTRYPOINT []"]),
        f'CMD ["{PROGRAM}"]',
    ]
    return "".join(f"{line}\n" for line in lines)


def pip_conf(environ: Mapping[str, str], *, certificates: bool) -> str:
    """Return pip's configuration for the build, as pip's environment variables here have it.

    `certificates`: the context has a file of them, which pip shall trust.
    """
    words = {word: environ[name] for name, word in _PIP_WORDS.items() if environ.get(name)}
    for word, value in words.items():
        if not value.isprintable():
            raise BadOption(f"pip's {word} {value!r} cannot be used: it has to be one line.")
    if certificates:
        words["cert"] = "/rebase/ca.pem"
    return "".join(["[global]\n", *(f"{word} = {value}\n" for word, value in words.items())])


def proxies(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the proxies for the build; the Engine keeps these names out of the image's history."""
    names = [name for proxy in _PROXIES for name in (proxy, proxy.upper())]
    return {name: environ[name] for name in names if environ.get(name)}


def archive(files: Iterable[tuple[str, bytes]]) -> bytes:
    """Return a tar archive of these files; the same files always give the same bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def shown(line: JsonObject) -> str:
    """Return what of one line of the Engine's answer is shown: no bars of pulls, no whole scripts."""
    text = str(line.get("stream") or "")
    if text.startswith("Step "):
        return text.partition(r"\n")[0]
    if line.get("status") and not line.get("progressDetail"):
        return f"{line['id']}: {line['status']}\n" if line.get("id") else f"{line['status']}\n"
    return text


def layer(text: str) -> str | None:
    """Return the image that a line of the builder tells, as it does after each step."""
    found = _LAYER.fullmatch(text)
    return found and found[1]


def explained(recipe: Recipe, step: str, message: str, code: int | None) -> str:
    """Say why the Engine could not build the image; `step` is the last one that it began."""
    if code is not None:
        what = "installing JupyterHub into it" if "/rebase/" in step else "preparing it"
        return (
            f"The base {recipe.base} is there, but {what} failed with exit code {code}: see the lines above."
        )
    if " FROM " in step and step.startswith("Step 1/"):
        hint = "; if the Engine's machine has it already, say --no-pull" if recipe.pull else ""
        return f"The base {recipe.base} could not be fetched: {message}. Is its name right{hint}?"
    return f"The Engine could not build the image: {message}"


def verdict(recipe: Recipe, code: int, output: str) -> str | None:
    """Say what is wrong with an image whose program ended so when asked for its version; None if nothing."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    found = next((line for line in reversed(lines) if _TOLD_VERSION.fullmatch(line)), None)
    if code or found is None:
        entrypoint = (
            "\nIf the base has an ENTRYPOINT that does not run what it is given, say --no-entrypoint."
            if recipe.entrypoint
            else ""
        )
        told = "\n".join(lines[-LAST_LINES:])
        return f"`{PROGRAM} --version` does not run in the image; it ended with {code}:\n{told}{entrypoint}"
    if found.partition(".")[0] != recipe.hub_version.partition(".")[0]:
        return (
            f"The image has JupyterHub {found} and the Hub is {recipe.hub_version}: their major versions "
            "must be the same."
        )
    return None


def configuration(recipe: Recipe) -> str:
    """Return the lines to write in the Hub's configuration."""
    return (
        f'c.DockerSpawner.image = "{recipe.tag}"\n'
        'c.DockerSpawner.pull_policy = "never"  # it is on the Engine\'s machine and in no registry\n'
    )
