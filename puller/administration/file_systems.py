"""What kind of file system a path lies on, from the kernel's table of mounts."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")

_SHARED = frozenset(
    {
        *("9p", "afs", "beegfs", "ceph", "cifs", "dvs", "fefs", "fhgfs", "gfs", "gfs2"),
        *("glusterfs", "gpfs", "llio", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs"),
        *("panfs", "pvfs2", "smb3", "smbfs", "vast", "wekafs"),
    }
)
_LOCAL = frozenset(
    {
        *("bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "overlay", "ramfs"),
        *("reiserfs", "tmpfs", "vfat", "xfs", "zfs"),
    }
)


class Kind(StrEnum):
    """Whether other computers can see it."""

    LOCAL = "local"
    SHARED = "shared"
    UNKNOWN = "unknown"


def kind_of(file_system: str) -> Kind:
    """The kind of a file system type, e.g. `nfs4`."""
    name = file_system.removeprefix("fuse.")
    if name in _SHARED:
        return Kind.SHARED
    return Kind.LOCAL if name in _LOCAL else Kind.UNKNOWN


def file_system_of(path: Path, mounts: str) -> str | None:
    """The type of the file system that an absolute path without links lies on.

    Args:
        path: the path.
        mounts: the content of `/proc/self/mountinfo` (proc(5)); a later mount hides an earlier
            one of the same place.
    """
    best: tuple[int, str] | None = None
    for line in mounts.splitlines():
        fields, separator, rest = line.partition(" - ")
        words = fields.split()
        if not separator or len(words) < 5 or not rest.split():
            continue
        place = Path(_unescaped(words[4]))
        depth = len(place.parts)
        if (path == place or place in path.parents) and (best is None or depth >= best[0]):
            best = (depth, rest.split()[0])
    return best[1] if best else None


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)
