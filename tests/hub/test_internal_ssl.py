"""Hub, proxy and servers that speak TLS with each other, each with its certificate."""

from __future__ import annotations

import asyncio
import io
import re
import ssl
import tarfile
from pathlib import Path

import jupyterhub
import pytest
from playwright.async_api import Page

from asyncdockerspawner.workloads.furnishing import CERTIFICATES
from tests.support import inside
from tests.support.browsing import Picture, lab_is_loaded, log_in, new_notebook, page, picture, runs
from tests.support.hub_site import HubSite, MakeHub, inspected
from tests.support.internal_ssl import alternative_names
from tests.support.system_users import folder, owner_of
from tests.testbed.engine import ensure_engine
from tests.testbed.system_users import SystemUsers
from tests.testbed.user_images import ensure_stacks_image

__all__ = ["page", "picture"]

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()
[EXAMPLE] = re.findall(r"<!-- internal-ssl: \S+ -->\n```python\n(.+?)```", README, re.DOTALL)
TO_EACH_ITS_OWN = """
def choose(spawner):
    if spawner.user.name == "bob":
        folders = {"/home/jovyan": "uid=1000", "/tmp": ""}
        spawner.extra_host_config = {"read_only": True, "tmpfs": folders}
    if spawner.name == "two":
        spawner.image, spawner.environment = STACKS, {"NB_UID": "1234", "CHOWN_HOME": "yes"}

c.Spawner.pre_spawn_hook = choose
"""
"""Bob's container has read-only files, and one server of Alice's starts as root and becomes somebody else."""
JOVYAN, SOMEBODY_ELSE = 1000, 1234
RENAMES = jupyterhub.version_info[0] >= 6
OF_SYSTEM_USERS = """
c.JupyterHub.spawner_class = "asyncdockerspawner.SystemUserSpawner"
c.SystemUserSpawner.host_homedir_format_string = ""
c.SystemUserSpawner.supplementary_groups = True
"""


def of_the_manual() -> str:
    """Give the example, for this machine's address as containers of the tests' Engine see it."""
    return str(EXAMPLE).replace("172.17.0.1", ensure_engine().host_address())


async def shown_by(hub: HubSite, name: str) -> tuple[set[str], bytes]:
    """Give the names in the certificate that a server shows to the Hub, and the certificate."""
    folder = hub.process.directory / "internal-ssl"
    tls = ssl.create_default_context(cafile=folder / "hub-ca_trust.crt")
    pair = folder / "hub-internal"
    tls.load_cert_chain(pair / "hub-internal.crt", pair / "hub-internal.key")
    port = int(inspected(hub, name)["NetworkSettings"]["Ports"]["8888/tcp"][0]["HostPort"])
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
    shown = writer.get_extra_info("ssl_object").getpeercert(True)
    writer.close()
    certificate = ssl.DER_cert_to_PEM_cert(shown).encode()
    return alternative_names(certificate) - {"localhost", "127.0.0.1"}, certificate


def for_its_user_alone(uid: int) -> dict[str, tuple[int, int]]:
    return {f"{name}.pem": (uid, 0o400) for name in ("key", "cert", "ca")}


def files_in(hub: HubSite, name: str) -> dict[str, tuple[int, int]]:
    """Give owner and permissions of the files that the server was given, by their names."""
    asked = {"path": f"{CERTIFICATES}/."}
    archive = hub.engine.get(f"/containers/{hub.prefix}-{name}/archive", params=asked).raise_for_status()
    with tarfile.open(fileobj=io.BytesIO(archive.content)) as found:
        return {Path(each.name).name: (each.uid, each.mode & 0o7777) for each in found if each.isreg()}


def read_by(hub: HubSite, name: str, user: str) -> str:
    """Have a user inside a server's container read the server's key; gives what that says."""
    return inside.said(hub.engine, inspected(hub, name)["Id"], "cat", f"{CERTIFICATES}/key.pem", user=user)


async def started_by_other_names(hub: HubSite) -> None:
    """Rename alice and her server `one`, and see that the server shows a certificate for its new name."""
    await hub.api._request("PATCH", "users/alice/servers/one", {"name": "new"})
    await hub.api._request("PATCH", "users/alice", {"name": "carol"})
    await hub.api.start_server("carol", "new")
    assert (await shown_by(hub, "carol--new"))[0] == {f"{hub.prefix}-carol--new"}
    await hub.api.stop_server("carol", "new")
    # The container was made for the former name: it is put aside, as its user's files are in it.
    [aside] = [each for each in hub.containers() if "-alice--one-kept-" in hub.objects.name(each)]
    hub.objects.remove(aside["Id"])


@pytest.mark.hub_5
@pytest.mark.timeout(600)
async def test_servers_have_certificates_of_their_own_at_every_start_and_keep_them_to_themselves(
    make_hub: MakeHub, singleuser_image: str
) -> None:
    stacks = f"STACKS = {ensure_stacks_image(jupyterhub.__version__)!r}"
    hub = make_hub(
        image=singleuser_image,
        internal_ssl=True,
        cleanup_servers=False,
        remove=False,
        config=f"{of_the_manual()}{stacks}{TO_EACH_ITS_OWN}",
    )
    await hub.create_users("alice", "bob")
    servers = [("alice", "one"), ("alice", "two"), ("bob", "")]
    await asyncio.gather(*(hub.api.start_server(*server) for server in servers))
    names = ["alice--one", "alice--two", "bob"]
    shown = {name: await shown_by(hub, name) for name in names}
    assert {name: found for name, (found, _) in shown.items()} == {
        name: {f"{hub.prefix}-{name}"} for name in names
    }
    assert {name: files_in(hub, name) for name in names} == {
        "alice--one": for_its_user_alone(JOVYAN),
        "alice--two": for_its_user_alone(SOMEBODY_ELSE),
        "bob": for_its_user_alone(JOVYAN),
    }
    # Who else is inside reads no key, be it whom a start script has root become.
    for name, other in (("alice--one", "4321"), ("alice--two", str(JOVYAN)), ("bob", "65534")):
        assert "Permission denied" in read_by(hub, name, other)
    assert "PRIVATE KEY" in read_by(hub, "alice--one", str(JOVYAN))
    # They are in a volume only where a container's own files are read-only.
    documents = {name: inspected(hub, name) for name in names}
    volumes = {name: [each["Name"] for each in documents[name]["Mounts"] if "Name" in each] for name in names}
    assert {name: len(of_it) for name, of_it in volumes.items()} == dict.fromkeys(names, 0) | {"bob": 1}
    assert "PRIVATE KEY" not in f"{hub.process.log_text()}{documents}"

    # A Hub that comes back finds them by https, and a kept container gets new ones.
    assert hub.process.restart() > 0
    for user, name in servers:
        assert await hub.settled(user, name)
        assert "started" in await hub.status(user, name)
    await hub.api.stop_server("alice", "one")
    kept = inspected(hub, "alice--one")["Id"]
    await hub.api.start_server("alice", "one")
    assert inspected(hub, "alice--one")["Id"] == kept
    assert "started" in await hub.status("alice", "one")
    found, certificate = await shown_by(hub, "alice--one")
    assert found == {f"{hub.prefix}-alice--one"}
    assert certificate != shown["alice--one"][1]
    assert files_in(hub, "alice--one") == for_its_user_alone(JOVYAN)

    await asyncio.gather(*(hub.api.stop_server(*server) for server in servers))
    if RENAMES:
        await started_by_other_names(hub)
    for user in ("alice", "bob", "carol"):
        await hub.api.delete_user(user)
    await hub.nothing_left()
    assert hub.engine.get(f"/volumes/{volumes['bob'][0]}").status_code == 404


@pytest.mark.timeout(600)
async def test_a_system_users_notebook_computes_over_tls_and_outlives_hub_and_container(
    make_hub: MakeHub,
    singleuser_image: str,
    system_users: SystemUsers,
    page: Page,
    picture: Picture,
) -> None:
    lab = system_users.group("lab")
    alice = system_users.user("alice", lab)
    shared = folder(system_users.homes.with_name("shared"), 0, lab.gid)
    hub = make_hub(
        image=singleuser_image,
        internal_ssl=True,
        cleanup_servers=False,
        remove=False,
        volumes={str(shared): "/shared"},
        config=f"{of_the_manual()}{OF_SYSTEM_USERS}",
    )
    await log_in(page, hub, alice.name)
    await lab_is_loaded(page)
    await new_notebook(page)
    await runs(page, "import os; os.environ['JUPYTERHUB_SERVICE_URL'][:8]", gives="'https://'")
    await runs(page, "[open(each, 'w').write('mine') for each in ('note', '/shared/note')]", gives="[4, 4]")
    assert owner_of(alice.home / "note") == (alice.uid, alice.gid)
    assert owner_of(shared / "note") == (alice.uid, lab.gid)
    await picture("computed")

    # The same kernel answers when the Hub, and with it the proxy, is back.
    assert hub.process.restart() > 0
    await runs(page, "os.path.basename(os.getcwd())", gives=repr(alice.name))
    kept = hub.containers()[0]["Id"]
    await hub.api.stop_server(alice.name)
    await hub.api.start_server(alice.name)
    assert [each["Id"] for each in hub.containers()] == [kept]
    await page.reload()
    await lab_is_loaded(page)
    await runs(page, "open('/shared/note').read()", gives="'mine'")
    await picture("resumed")
