"""Files and folders in archives, whole and cut off."""

from __future__ import annotations

import tarfile

import pytest

from asyncdockerspawner.client.tar import File, Folder, content_in, entries_in, packed

KEY = File(path="/certs/key.pem", content=b"secret", uid=3_000_000_000, gid=100, mode=0o400)
CERTS = Folder(path="/certs", mtime=7)


def test_what_is_packed_is_found_again_below_its_base() -> None:
    folder, file = entries_in(packed([CERTS, KEY], "/"))
    assert (folder.name, folder.isdir(), folder.mode, folder.mtime, folder.uid) == (
        "certs",
        True,
        0o755,
        7,
        0,
    )
    assert (file.name, file.uid, file.gid, file.mode) == ("certs/key.pem", 3_000_000_000, 100, 0o400)
    data = packed([KEY], "/certs")
    assert [each.name for each in entries_in(data)] == ["key.pem"]
    assert content_in(data) == b"secret"


def test_the_same_files_always_give_the_same_bytes() -> None:
    assert packed([CERTS, KEY], "/") == packed([CERTS, KEY], "/")


def test_no_secret_is_shown() -> None:
    assert "secret" not in repr(KEY)


def test_an_archive_is_read_as_far_as_it_has_come() -> None:
    data = packed([CERTS, KEY, File(path="/x", content=b"y" * 2000)], "/")
    found = [len(entries_in(data[:size])) for size in range(0, len(data), 256)]
    assert found == sorted(found)
    assert (found[0], found[2], found[-1]) == (0, 1, 3)
    assert entries_in(b"no archive at all" * 100) == []


def test_a_file_that_is_cut_off_is_not_read() -> None:
    data = packed([File(path="/x", content=b"y" * 2000)], "/")
    nothing = b"\0" * 1024
    for part in (b"", nothing, data[:100], data[:512], data[:1500]):
        with pytest.raises(tarfile.TarError):
            content_in(part)
    assert content_in(packed([File(path="/x", content=b"")], "/")) == b""
    assert content_in(packed([CERTS], "/")) == b""
