"""The image of a pause process: a static program of a few hundred bytes that ends on SIGTERM, and no more.

It runs in the containers that hold a network for a server to come. Sources: the ELF format, Linux's system
call tables of both machines, and the image format that `docker save` writes.
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass

from asyncdockerspawner.jsontypes import JsonObject

REPOSITORY = "asyncdockerspawner-pause"
"""The image's name at the Engine; no registry has it."""
USER = "65534:65534"
"""Nobody: the program needs no rights at all."""
_LOADED_AT = 0x400000
_PATH = "pause"

# As process 1 it has no default actions: a signal without a handler is ignored unless it is blocked. So both
# programs block SIGTERM and SIGINT, wait for one of them, and exit with 0.
_X86_64 = """
    b8 0e 00 00 00          mov  eax, 14            ; rt_sigprocmask(
    31 ff                   xor  edi, edi           ;   SIG_BLOCK,
    48 8d 35 2f 00 00 00    lea  rsi, [rip + set]   ;   &set,
    31 d2                   xor  edx, edx           ;   NULL,
    41 ba 08 00 00 00       mov  r10d, 8            ;   8)
    0f 05                   syscall
    b8 80 00 00 00    wait: mov  eax, 128           ; rt_sigtimedwait(
    48 8d 3d 19 00 00 00    lea  rdi, [rip + set]   ;   &set,
    31 f6                   xor  esi, esi           ;   NULL,
    31 d2                   xor  edx, edx           ;   NULL: for ever,
    41 ba 08 00 00 00       mov  r10d, 8            ;   8)
    0f 05                   syscall
    85 c0                   test eax, eax           ; interrupted,
    78 e4                   js   wait               ;   as by SIGSTOP and SIGCONT: once more
    b8 3c 00 00 00          mov  eax, 60            ; exit(
    31 ff                   xor  edi, edi           ;   0)
    0f 05                   syscall
    02 40 00 00 00 00 00 00 set: .quad 0x4002       ; SIGINT (2) and SIGTERM (15)
"""
_AARCH64 = """
    e8 10 80 d2             mov  x8, #135           ; rt_sigprocmask(
    00 00 80 d2             mov  x0, #0             ;   SIG_BLOCK,
    c1 01 00 10             adr  x1, set            ;   &set,
    02 00 80 d2             mov  x2, #0             ;   NULL,
    03 01 80 d2             mov  x3, #8             ;   8)
    01 00 00 d4             svc  #0
    28 11 80 d2       wait: mov  x8, #137           ; rt_sigtimedwait(
    20 01 00 10             adr  x0, set            ;   &set,
    01 00 80 d2             mov  x1, #0             ;   NULL,
    02 00 80 d2             mov  x2, #0             ;   NULL: for ever,
    03 01 80 d2             mov  x3, #8             ;   8)
    01 00 00 d4             svc  #0
    40 ff ff 37             tbnz w0, #31, wait      ; interrupted: once more
    a8 0b 80 d2             mov  x8, #93            ; exit(
    00 00 80 d2             mov  x0, #0             ;   0)
    01 00 00 d4             svc  #0
    02 40 00 00 00 00 00 00 set: .quad 0x4002       ; SIGINT (2) and SIGTERM (15)
"""


@dataclass(frozen=True, slots=True)
class _Machine:
    elf: int
    """Its number in an ELF header."""
    source: str
    architecture: str
    """Its name in images."""


_MACHINES = {
    **dict.fromkeys(("amd64", "x86_64"), _Machine(62, _X86_64, "amd64")),
    **dict.fromkeys(("arm64", "aarch64"), _Machine(183, _AARCH64, "arm64")),
}


@dataclass(frozen=True, slots=True)
class PauseImage:
    """The image, ready to be loaded."""

    reference: str
    """Its name and tag, which names its content too."""
    archive: bytes
    """As `POST /images/load` takes it."""


def program(architecture: str) -> bytes | None:
    """Return the program as an ELF file; None for a machine that there is none for."""
    machine = _MACHINES.get(architecture)
    if machine is None:
        return None
    code = b"".join(_bytes_of(line) for line in machine.source.splitlines())
    header, segment = struct.calcsize("<16sHHIQQQIHHHHHH"), struct.calcsize("<IIQQQQQQ")
    begin, size = header + segment, header + segment + len(code)
    return (
        struct.pack(
            "<16sHHIQQQIHHHHHH",
            b"\x7fELF\x02\x01\x01",  # 64 bits, little-endian
            2,  # an executable
            machine.elf,
            1,
            _LOADED_AT + begin,
            header,
            0,
            0,
            header,
            segment,
            1,
            0,
            0,
            0,
        )
        # One segment, to be read and executed: all of the file.
        + struct.pack("<IIQQQQQQ", 1, 5, 0, _LOADED_AT, _LOADED_AT, size, size, 0x10000)
        + code
    )


def image(architecture: str) -> PauseImage | None:
    """Return the image for an Engine's machine, in the words of its version; None where there is none."""
    machine, binary = _MACHINES.get(architecture), program(architecture)
    if machine is None or binary is None:
        return None
    layer = _tar([(_PATH, binary, 0o555)])
    config: JsonObject = {
        "architecture": machine.architecture,
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {"Entrypoint": [f"/{_PATH}"], "User": USER},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        "history": [{"created_by": "asyncdockerspawner"}],
    }
    text = json.dumps(config, sort_keys=True).encode()
    digest = hashlib.sha256(text).hexdigest()
    reference = f"{REPOSITORY}:{digest[:12]}"
    manifest = [{"Config": f"{digest}.json", "RepoTags": [reference], "Layers": ["layer.tar"]}]
    files = [
        (f"{digest}.json", text, 0o644),
        ("layer.tar", layer, 0o644),
        ("manifest.json", json.dumps(manifest).encode(), 0o644),
    ]
    return PauseImage(reference, _tar(files))


def _bytes_of(line: str) -> bytes:
    """Read the bytes at the beginning of a line; behind them stands what they mean."""
    return bytes.fromhex(line.strip().partition("   ")[0].partition(" wait:")[0].partition(" set:")[0])


def _tar(files: Iterable[tuple[str, bytes, int]]) -> bytes:
    # The same each time: its digest names the image.
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content, mode in files:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
    return made.getvalue()
