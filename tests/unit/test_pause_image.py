"""The image of the pause process: what its program does, and what the Engine is given."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import signal
import stat
import struct
import subprocess
import tarfile
from pathlib import Path

import pytest

from asyncdockerspawner.images import pause

ARCHITECTURES = ["amd64", "arm64"]


@pytest.mark.skipif(pause.program(platform.machine()) is None, reason="no program for this machine")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_program_waits_and_ends_on_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    program = pause.program(platform.machine())
    assert program is not None
    path = tmp_path / "pause"
    path.write_bytes(program)
    path.chmod(stat.S_IRWXU)
    with subprocess.Popen([path]) as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.2)
        # Interrupted, it goes on waiting.
        process.send_signal(signal.SIGSTOP)
        process.send_signal(signal.SIGCONT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.2)
        process.send_signal(number)
        assert process.wait(10) == 0


@pytest.mark.parametrize(("architecture", "machine"), [("amd64", 62), ("arm64", 183)])
def test_the_program_is_a_small_elf_file_for_its_machine(architecture: str, machine: int) -> None:
    program = pause.program(architecture)
    assert program is not None
    assert len(program) < 300
    assert program[:7] == b"\x7fELF\x02\x01\x01"
    kind, found, _, entry = struct.unpack_from("<HHIQ", program, 16)
    (size,) = struct.unpack_from("<Q", program, 64 + 32)
    # It begins right behind the headers, and all of it is mapped.
    assert (kind, found, entry & 0xFFFF, size) == (2, machine, 120, len(program))


def test_machines_go_by_the_kernels_names_too() -> None:
    assert pause.program("x86_64") == pause.program("amd64")
    assert pause.program("aarch64") == pause.program("arm64")


@pytest.mark.parametrize("architecture", ["s390x", "riscv64", ""])
def test_there_is_none_for_other_machines(architecture: str) -> None:
    assert pause.program(architecture) is None
    assert pause.image(architecture) is None


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_archive_is_what_the_engine_loads(architecture: str) -> None:
    image = pause.image(architecture)
    assert image is not None
    assert image == pause.image(architecture)
    files = _files(image.archive)
    (entry,) = json.loads(files["manifest.json"])
    assert entry["RepoTags"] == [image.reference]
    config, layer = json.loads(files[entry["Config"]]), files[entry["Layers"][0]]
    assert entry["Config"] == f"{hashlib.sha256(files[entry['Config']]).hexdigest()}.json"
    assert image.reference.partition(":")[2] == entry["Config"][:12]
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer).hexdigest()}"]
    assert (config["architecture"], config["os"]) == (architecture, "linux")
    assert config["config"] == {"Entrypoint": ["/pause"], "User": "65534:65534"}
    assert _files(layer) == {"pause": pause.program(architecture)}


def _files(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        found = {each.name: tar.extractfile(each) for each in tar}
        return {name: file.read() for name, file in found.items() if file is not None}
