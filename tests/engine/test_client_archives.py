"""The client's verbs on files inside containers, over the fake Engine and a real one."""

from __future__ import annotations

import io
import tarfile

import pytest

from asyncdockerspawner import errors
from asyncdockerspawner.client import archives
from asyncdockerspawner.client.archives import MOST_LINKS
from asyncdockerspawner.client.tar import File, Folder, packed
from tests.fake_engine import FakeEngine
from tests.support.clients import body, held, opened
from tests.support.site import Site

KEY = File(path="/certs/key.pem", content=b"secret", uid=3_000_000_000, gid=100, mode=0o400)


def links(**targets: str) -> bytes:
    """Pack symbolic links: name → what each leads to."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, target in targets.items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            tar.addfile(member)
    return buffer.getvalue()


async def test_what_is_put_into_a_container_is_there_before_and_after_its_start(site: Site) -> None:
    async with opened(site.url) as client:
        ref = await client.containers.create(f"t{site.hub_id}", body(site))
        files = client.archives
        await files.put(ref, "/", packed([Folder(path="/certs"), KEY], "/"))
        assert await files.file(ref, "/certs/key.pem") == KEY
        await client.containers.start(ref)
        [folder, key] = await files.entries(ref, "/certs", most=10)
        assert (folder.name, folder.mode & 0o7777, folder.uid) == ("certs", 0o755, 0)
        assert (key.name, key.mode & 0o7777, key.uid, key.gid) == ("certs/key.pem", 0o400, KEY.uid, 100)
        # Again, as at the next start.
        await files.put(ref, "/certs", packed([File(path="/certs/key.pem", content=b"new")], "/certs"))
        assert await files.file(ref, "/certs/key.pem") == File(path="/certs/key.pem", content=b"new")


async def test_an_archive_is_cut_off_when_enough_has_come(site: Site) -> None:
    async with opened(site.url) as client:
        ref = await client.containers.create(f"t{site.hub_id}", body(site))
        await client.archives.put(ref, "/www", packed([File(path="/www/a", content=b"x" * 800_000)], "/www"))
        assert [each.name for each in await client.archives.entries(ref, "/www", most=2)] == ["www", "www/a"]
        # The large file stands between the second and the third.
        assert len(await client.archives.entries(ref, "/www", most=3)) == 2
        assert held(client) == 0
        # The Engine goes on with the container at once.
        await client.containers.start(ref)
        assert site.inspect(ref)["State"]["Running"] is True


async def test_a_file_is_found_where_symbolic_links_lead(site: Site) -> None:
    async with opened(site.url) as client:
        ref = await client.containers.create(f"t{site.hub_id}", body(site))
        files = client.archives
        await files.put(
            ref,
            "/www",
            links(near="index.html", far="/etc/group", up="../www/near", lost="nothing"),
        )
        assert (await files.file(ref, "/www/up")) == File(path="/www/index.html", content=b"stub\n")
        found = await files.file(ref, "/www/far")
        assert found is not None
        assert (found.path, found.content) == ("/etc/group", b"root:x:0:\nusers:x:100:\n")
        # A way that is longer than anybody's leads nowhere.
        await files.put(
            ref, "/www", links(**{f"l{number}": f"l{number + 1}" for number in range(MOST_LINKS)})
        )
        for path in ("/www/lost", "/www/l0", "/www", "/www/none", "/none/at/all"):
            assert await files.file(ref, path) is None


async def test_what_is_not_there_is_told(site: Site) -> None:
    async with opened(site.url) as client:
        ref = await client.containers.create(f"t{site.hub_id}", body(site))
        for asked in (
            client.archives.put(ref, "/none", packed([KEY], "/")),
            client.archives.entries(ref, "/none", most=1),
            client.archives.file(f"t{site.hub_id}-none", "/etc/passwd"),
        ):
            with pytest.raises(
                errors.ObjectNotFound, match=r"Could not find the file /none|No such container"
            ):
                await asked


async def test_what_is_read_only_is_told(site: Site) -> None:
    host = {"ReadonlyRootfs": True, "Binds": [f"t{site.hub_id}:/ro:ro"], "Tmpfs": {"/tmp": ""}}
    host["Mounts"] = [{"Type": "volume", "Target": "/certs"}]
    async with opened(site.url) as client:
        ref = await client.containers.create(f"t{site.hub_id}", body(site, HostConfig=host))
        for folder in ("/", "/etc", "/ro"):
            with pytest.raises(errors.ReadOnlyFiles, match="is marked read-only"):
                await client.archives.put(ref, folder, packed([KEY], "/"))
        await client.archives.put(ref, "/certs", packed([KEY], "/certs"))
        assert await client.archives.file(ref, "/certs/key.pem") == KEY


async def test_a_filter_before_the_engine_is_told(fake: FakeEngine) -> None:
    fake.rule("PUT", "/archive$", status=403, message="Forbidden")
    fake.rule("GET", "/archive$", status=403, message="Forbidden")
    async with opened(fake.url) as client:
        ref = await client.containers.create("furnished", {"Image": "stub:1"})
        with pytest.raises(errors.Forbidden, match="does not let PUT /containers"):
            await client.archives.put(ref, "/", packed([KEY], "/"))
        with pytest.raises(errors.Forbidden, match="does not let GET /containers"):
            await client.archives.file(ref, "/etc/passwd")


async def test_a_file_that_comes_in_part_is_not_taken_for_the_whole(
    fake: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(fake.url) as client:
        ref = await client.containers.create("furnished", {"Image": "stub:1"})
        fake.rule("GET", "/archive$", cut_after=1, times=1)
        with pytest.raises(errors.EngineLost, match="read files"):
            await client.archives.file(ref, "/etc/passwd")
        monkeypatch.setattr(archives, "LARGEST_FILE", 10)
        fake.rule("GET", "/archive$", slow_drip=0.01)
        with pytest.raises(errors.EngineRefused, match="/etc/passwd cannot be read"):
            await client.archives.file(ref, "/etc/passwd")
