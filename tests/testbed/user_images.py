"""Images whose servers run as other users than most do, made on the stub and on the single-user image."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.testbed.engine import ensure_engine
from tests.testbed.hub_image import build
from tests.testbed.images import (
    RECIPE,
    ensure_stub_image,
    forget_image,
    has_image,
    image_labels,
    inspect_image,
    recipe_hash,
)
from tests.testbed.singleuser import ensure_singleuser_image
from tests.testbed.steps import lock, step

STACKS_STUB = "asyncdockerspawner-stacks-stub:1"
STACKS = "asyncdockerspawner-stacks"
USERLESS = "asyncdockerspawner-userless:1"
FILLED = "asyncdockerspawner-filled:1"
LINKED = "asyncdockerspawner-linked:1"

START = r"""#!/bin/sh
# What the start.sh of https://github.com/jupyter/docker-stacks does, in short.
set -e
if [ "$(id -u)" = 0 ]; then
    if grep -q ^jovyan: /etc/passwd; then
        sed -i "s|^jovyan:.*|$NB_USER:x:$NB_UID:$NB_GID::/home/$NB_USER:/bin/sh|" /etc/passwd
    elif ! grep -q "^$NB_USER:" /etc/passwd; then
        echo "ERROR: neither the user jovyan nor $NB_USER exists" >&2
        exit 1
    fi
    grep -q "^[^:]*:[^:]*:$NB_GID:" /etc/group || echo "$NB_USER:x:$NB_GID:" >>/etc/group
    sed -i "s/^users:[^:]*:100:/&$NB_USER,/" /etc/group
    [ -e "/home/$NB_USER" ] || cp -a /home/jovyan "/home/$NB_USER"
    if [ "$CHOWN_HOME" = yes ]; then
        chown "$NB_UID:$NB_GID" "/home/$NB_USER"
    fi
    export HOME="/home/$NB_USER"
elif ! whoami >/dev/null 2>&1 && [ -w /etc/passwd ]; then
    # Members of the group root may give their user a name.
    echo "$NB_USER:x:$(id -u):$(id -g)::/home/jovyan:/bin/sh" >>/etc/passwd
fi
# There the notebook's configuration does this.
[ -z "$NB_UMASK" ] || umask "$NB_UMASK"
[ "$(id -u)" != 0 ] || exec drop "$NB_USER" "$@"
exec "$@"
"""
DROP = """#!/bin/sh
user=$1
shift
exec setpriv --reuid="$user" --regid="$(id -g "$user")" --init-groups "$@"
"""
"""Change to a user for good. There this is done by sudo."""
DROP_OF_BUSYBOX = """#!/bin/sh
user=$1
shift
exec su -p -s /bin/sh "$user" -c 'exec "$0" "$@"' -- "$@"
"""
ON_THE_STUB = """\
FROM {base}
RUN ["/bin/busybox", "--install", "-s", "/bin"]
"""
AS_DOCKER_STACKS_ARE = """\
COPY start.sh drop /usr/local/bin/
RUN sed -i 's/^jovyan:x:[0-9]*:[0-9]*:/jovyan:x:1000:100:/' /etc/passwd \\
    && chown -R 1000:100 /home/jovyan \\
    && chmod 664 /etc/passwd \\
    && mkdir -p -m 1777 /tmp \\
    && chmod 755 /usr/local/bin/*
ENV NB_USER=jovyan NB_UID=1000 NB_GID=100 HOME=/home/jovyan
ENTRYPOINT ["start.sh"]
"""
WITHOUT_THE_USER = """\
RUN sed -i '/^jovyan:/d' /etc/passwd
USER 4321
"""
WITH_CONTENT = """\
RUN echo 'of the image' >/home/jovyan/work/note && mkdir /home/jovyan/empty && chown -R 1000:100 /home/jovyan
USER jovyan
"""
WITH_A_LINK = """\
RUN rmdir /home/jovyan/work && mkdir /data && ln -s /data /home/jovyan/work
USER jovyan
"""


def ensure_stacks_stub() -> str:
    """A stub server in an image as docker-stacks are: it starts as root, and becomes NB_USER."""
    path = "ENV PATH=/usr/local/bin:/bin\n"
    files = {"start.sh": START, "drop": DROP_OF_BUSYBOX}
    dockerfile = f'{ON_THE_STUB}{path}{AS_DOCKER_STACKS_ARE}CMD ["/serve"]\n'
    return _ensure(STACKS_STUB, ensure_stub_image(), dockerfile, files)


def ensure_stacks_image(hub_version: str) -> str:
    """The single-user image made over as docker-stacks are: it starts as root, and becomes NB_USER."""
    base = ensure_singleuser_image(hub_version)
    files = {"start.sh": START, "drop": DROP}
    dockerfile = f'FROM {{base}}\nUSER root\n{AS_DOCKER_STACKS_ARE}CMD ["jupyterhub-singleuser"]\n'
    return _ensure(f"{STACKS}:{hub_version}", base, dockerfile, files)


def ensure_userless_image() -> str:
    """A stub server whose user is 4321, whom the image's /etc/passwd does not have."""
    return _ensure(USERLESS, ensure_stub_image(), ON_THE_STUB + WITHOUT_THE_USER)


def ensure_filled_image() -> str:
    """A stub server of the user jovyan, in whose /home/jovyan are `work` with a file, and `empty`."""
    return _ensure(FILLED, ensure_stub_image(), ON_THE_STUB + WITH_CONTENT)


def ensure_linked_image() -> str:
    """A stub server of the user jovyan, whose /home/jovyan/work is a link to /data, which is root's."""
    return _ensure(LINKED, ensure_stub_image(), ON_THE_STUB + WITH_A_LINK)


def ensure_stub_images_of_users() -> list[str]:
    """All of them that are small."""
    return [ensure_stacks_stub(), ensure_userless_image(), ensure_filled_image(), ensure_linked_image()]


def _ensure(image: str, base: str, dockerfile: str, files: dict[str, str] | None = None) -> str:
    files = files or {}
    engine = ensure_engine()
    recipe = recipe_hash(dockerfile, *files.values(), image_labels(engine, base).get(RECIPE, ""))
    if has_image(engine, image, recipe):
        return image
    with lock("images"), tempfile.TemporaryDirectory() as folder:
        if not has_image(engine, image, recipe):
            for name, text in files.items():
                Path(folder, name).write_text(text)
            with step(f"building the image {image}"):
                before = inspect_image(engine, image)
                build(Path(folder), dockerfile.format(base=base), image, f"--label={RECIPE}={recipe}")
                forget_image(engine, before)
    return image
