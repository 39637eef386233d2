"""The real parts that a run stands on, from the test bed: Engine, images, the Hub's proxy."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version

from tests.testbed.engine import ensure_engine
from tests.testbed.images import ensure_stub_image, ensure_stubborn_image
from tests.testbed.proxy import ensure_proxy
from tests.testbed.singleuser import ensure_singleuser_image


@dataclass(frozen=True)
class Images:
    """What the containers run."""

    stub: str
    stubborn: str  # it ignores SIGTERM
    singleuser: str | None  # a real notebook server; making the image takes minutes: only where it is used
    pulled: str | None = None  # in a slow registry, where it is used


@dataclass(frozen=True)
class Bed:
    """Where the parts are."""

    engine_url: str
    images: Images


def bring_up(*, singleuser: bool) -> Bed:
    """Make what is missing, say so, and tell where everything is."""
    engine = ensure_engine()
    ensure_proxy()
    # Both Hubs have the JupyterHub of this environment, and so has the image.
    notebook = ensure_singleuser_image(version("jupyterhub")) if singleuser else None
    return Bed(engine.url, Images(ensure_stub_image(), ensure_stubborn_image(), notebook))
