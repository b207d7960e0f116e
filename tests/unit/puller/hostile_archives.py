"""Archives that somebody made to do harm, generated; and honest ones beside them."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zipfile
from collections.abc import Callable

SYMLINK = 0o120777 << 16


def tar(*members: tarfile.TarInfo | tuple[str, bytes], form: str = "w:gz", **how: int) -> bytes:
    """A tar of headers as they stand, and of plain files."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode=form, **how) as archive:
        for member in members:
            if isinstance(member, tuple):
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                archive.addfile(info, io.BytesIO(member[1]))
            else:
                archive.addfile(member, io.BytesIO(b"x" * member.size))
    return target.getvalue()


def header(name: str, kind: bytes = tarfile.REGTYPE, **more: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    for attribute, value in more.items():
        setattr(info, attribute, value)
    return info


def link(name: str, target: str) -> tarfile.TarInfo:
    return header(name, tarfile.SYMTYPE, linkname=target)


def hard(name: str, target: str) -> tarfile.TarInfo:
    return header(name, tarfile.LNKTYPE, linkname=target)


def zipped(*members: tuple[str, bytes] | tuple[str, bytes, int]) -> bytes:
    """A zip; a third value is the external attributes."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content, *attributes in members:
            info = zipfile.ZipInfo(name)
            info.create_system = 3
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = attributes[0] if attributes else 0o644 << 16
            archive.writestr(info, content)
    return target.getvalue()


def raw_tar_block(name: bytes, size: bytes, kind: bytes = b"0") -> bytes:
    """One header block, with a checksum that is right and whatever size field."""
    block = bytearray(512)
    block[0 : len(name)] = name
    block[100:108] = b"0000644\0"
    block[124 : 124 + len(size)] = size
    block[136:148] = b"00000000000\0"
    block[156:157] = kind
    block[257:265] = b"ustar\x0000"
    block[148:156] = b" " * 8
    block[148:156] = f"{sum(block):06o}\0 ".encode()
    return bytes(block)


def patched_name(archive: bytes, before: bytes, after: bytes) -> bytes:
    """A zip with another name of the same length in it, as no library would write it."""
    assert len(before) == len(after)
    return archive.replace(before, after)


def _pax(name: str, **headers: str) -> bytes:
    return tar(header(name, pax_headers=headers), format=tarfile.PAX_FORMAT)


def _deep_pax() -> bytes:
    one = raw_tar_block(b"x", b"00000000013\0", b"x") + b"11 path=aa\n".ljust(512, b"\0")
    return gzip.compress(one * 3000)


HOSTILE: dict[str, tuple[str, Callable[[], bytes]]] = {
    "absolute": ("tar.gz", lambda: tar(("/tmp/jobferry-evil", b"x"))),
    "dots": ("tar.gz", lambda: tar(("../evil", b"x"))),
    "dots inside": ("tar.gz", lambda: tar(("a/../../evil", b"x"))),
    "pax path": ("tar.gz", lambda: _pax("a", path="../evil")),
    "link out": ("tar.gz", lambda: tar(link("a", "../outside"))),
    "link absolute": ("tar.gz", lambda: tar(link("a", "/etc"))),
    "link pax": ("tar.gz", lambda: tar(link("a", "x" * 5000), format=tarfile.PAX_FORMAT)),
    "link then through it": ("tar.gz", lambda: tar(link("a", "."), ("a/evil", b"x"))),
    "link out, then through it": ("tar.gz", lambda: tar(link("a", ".."), ("a/evil", b"x"))),
    "links that add up": (
        "tar.gz",
        lambda: tar(link("x", "."), link("y", "x/x/x/../../.."), ("z", b"1")),
    ),
    "links that add up, into a folder": (
        "tar.gz",
        lambda: tar(("d/f", b"1"), link("d/x", "."), link("y", "d/x/../../outside")),
    ),
    "link to itself": ("tar.gz", lambda: tar(link("a", "a"))),
    "link to nothing": ("tar.gz", lambda: tar(link("a", "b"))),
    "folder replaced by link": ("tar.gz", lambda: tar(("a/b", b"1"), link("a", "."))),
    "link replaced by file": ("tar.gz", lambda: tar(("b", b"1"), link("a", "b"), ("a", b"2"))),
    "hard link out": ("tar.gz", lambda: tar(hard("a", "../outside/secret"))),
    "hard link absolute": ("tar.gz", lambda: tar(hard("a", "/etc/passwd"))),
    "hard link to a link": (
        "tar.gz",
        lambda: tar(("b", b"1"), link("l", "b"), hard("a", "l")),
    ),
    "hard link through a link": (
        "tar.gz",
        lambda: tar(("d/b", b"1"), link("l", "d"), hard("a", "l/b")),
    ),
    "device": ("tar.gz", lambda: tar(header("a", tarfile.CHRTYPE, devmajor=1, devminor=3))),
    "block device": ("tar.gz", lambda: tar(header("a", tarfile.BLKTYPE))),
    "pipe": ("tar.gz", lambda: tar(header("a", tarfile.FIFOTYPE))),
    "unknown type": ("tar", lambda: raw_tar_block(b"a", b"00000000000\0", b"Z")),
    "two of a name": ("tar.gz", lambda: tar(("a", b"1"), ("a", b"2"))),
    "two spellings of a name": ("tar.gz", lambda: tar(("a", b"1"), ("./a", b"2"))),
    "file and folder": ("tar.gz", lambda: tar(("a", b"1"), ("a/b", b"2"))),
    "folder and file": ("tar.gz", lambda: tar(("a/b", b"1"), ("a", b"2"))),
    "control character": ("tar.gz", lambda: tar(("a\nb", b"1"))),
    "escape sequence": ("tar.gz", lambda: tar(("a\x1b[2Jb", b"1"))),
    "not UTF-8": ("tar", lambda: raw_tar_block(b"a\xff", b"00000000000\0")),
    "long segment": ("tar.gz", lambda: tar(("a" * 300, b"1"))),
    "long path": ("tar.gz", lambda: tar(("/".join(["a" * 100] * 12), b"1"))),
    "no name": ("tar.gz", lambda: tar((".", b"1"))),
    "sparse": (
        "tar.gz",
        lambda: _pax("a", **{"GNU.sparse.map": "0,1", "GNU.sparse.size": str(2**40)}),
    ),
    "old sparse": ("tar", lambda: raw_tar_block(b"a", b"00000000000\0", b"S") + bytes(1024)),
    "size beyond the end": ("tar", lambda: raw_tar_block(b"a", b"77777777777\0")),
    "negative size": ("tar", lambda: raw_tar_block(b"a", b"\xff" * 12) + bytes(1024)),
    "negative pax size": ("tar.gz", lambda: _pax("a", size="-1024")),
    "huge header": ("tar", lambda: raw_tar_block(b"a", b"77777777777\0", b"L")),
    "deep headers": ("tar.gz", _deep_pax),
    "bomb": ("tar.gz", lambda: tar(("a", bytes(40_000_000)))),
    "single bomb": ("gz", lambda: gzip.compress(bytes(40_000_000))),
    "many members": ("tar.gz", lambda: tar(*(header(f"{n}") for n in range(120)))),
    "cut off": ("tar.gz", lambda: tar(("a", b"x" * 100_000))[:-100]),
    "cut off inside": ("tar", lambda: tar(("a", b"x" * 9000), form="w")[:4000]),
    "not a tar": ("tar.gz", lambda: gzip.compress(b"hello" * 1000)),
    "not gzip": ("tar.gz", lambda: b"hello" * 1000),
    "empty": ("tar.gz", lambda: b""),
    "not bzip2": ("tar.bz2", lambda: b"BZh9" + b"hello" * 1000),
    "not xz": ("tar.xz", lambda: b"\xfd7zXZ\0" + b"hello" * 1000),
    "zip absolute": ("zip", lambda: zipped(("/tmp/jobferry-evil", b"x"))),
    "zip dots": ("zip", lambda: zipped(("../evil", b"x"))),
    "zip link out": ("zip", lambda: zipped(("a", b"../outside", SYMLINK))),
    "zip link absolute": ("zip", lambda: zipped(("a", b"/etc", SYMLINK))),
    "zip link then through it": ("zip", lambda: zipped(("a", b".", SYMLINK), ("a/b", b"x"))),
    "zip long link": ("zip", lambda: zipped(("a", b"b" * 5000, SYMLINK))),
    "zip two of a name": ("zip", lambda: zipped(("a", b"1"), ("./a", b"2"))),
    "zip pipe": ("zip", lambda: zipped(("a", b"", 0o010644 << 16))),
    "zip device": ("zip", lambda: zipped(("a", b"", 0o020644 << 16))),
    "zip NUL": ("zip", lambda: patched_name(zipped(("aaab", b"1")), b"aaab", b"a\0ab")),
    "zip not UTF-8": ("zip", lambda: patched_name(zipped(("aaab", b"1")), b"aaab", b"a\xffab")),
    "zip control": ("zip", lambda: zipped(("a\rb", b"1"))),
    "zip bomb": ("zip", lambda: zipped(("a", bytes(40_000_000)))),
    "zip bombs together": ("zip", lambda: zipped(*((f"{n}", bytes(900_000)) for n in range(20)))),
    "zip many": ("zip", lambda: zipped(*((f"{n}", b"") for n in range(120)))),
    "zip cut off": ("zip", lambda: zipped(("a", b"x" * 1000))[:-10]),
    "zip damaged": ("zip", lambda: _damaged_zip()),
    "zip bad CRC": ("zip", lambda: _zip_with_other_crc()),
    "zip encrypted": ("zip", lambda: _flagged(zipped(("a", b"1")))),
    "not a zip": ("zip", lambda: b"PK" * 1000),
}


def _damaged_zip() -> bytes:
    archive = bytearray(zipped(("a", b"0123456789" * 100)))
    archive[35:45] = b"\xff" * 10
    return bytes(archive)


def _zip_with_other_crc() -> bytes:
    archive = zipped(("a", b"1"))
    crc = struct.pack("<I", zipfile.ZipFile(io.BytesIO(archive)).infolist()[0].CRC)
    return archive.replace(crc, b"\1\2\3\4")


def _flagged(archive: bytes) -> bytes:
    made = bytearray(archive)
    made[6] |= 1
    made[archive.index(b"PK\x01\x02") + 8] |= 1
    return bytes(made)
