"""An archive leaves nothing outside of its folder, whoever made it; an honest one arrives whole."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from puller.archives import Limits, unpack
from puller.artifact_tree import entries_of
from puller.confined_tree import ConfinedTree
from puller.errors import ArtifactRefused
from tests.unit.puller.hostile_archives import HOSTILE, SYMLINK, hard, header, link, tar, zipped

LIMITS = Limits(10_000_000, members=100, ratio=100, ratio_from=1_000_000)


class Place:
    """A folder to unpack into, with others around it."""

    def __init__(self, top: Path) -> None:
        self.top = top
        outside = top / "control" / "outside"
        outside.mkdir(parents=True)
        (outside / "secret").write_text("secret")
        self.tree = ConfinedTree(top, "control/tree")
        self.before = self.around()

    def around(self) -> dict[str, object]:
        """Everything but the folder itself."""
        found: dict[str, object] = {}
        for folder, folders, files in os.walk(self.top):
            folders[:] = [name for name in folders if Path(folder, name) != self.tree.path]
            for name in files + folders:
                path = Path(folder, name)
                if path.name != "packed":
                    file = path.is_file()
                    content = (path.read_bytes(), path.lstat().st_nlink) if file else None
                    found[str(path)] = content
        return found

    def unpack(self, archive: bytes, form: str, limits: Limits = LIMITS) -> list[str]:
        packed = self.top / "packed"
        packed.write_bytes(archive)
        with packed.open("rb") as file:
            unpack(file, form, self.tree, limits)
        return [entry.path for entry in entries_of(self.tree, limits)]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_is_refused_and_leaves_nothing_outside(place: Place, name: str) -> None:
    form, make = HOSTILE[name]
    with pytest.raises(ArtifactRefused) as caught:
        place.unpack(make(), form)
    assert str(caught.value).isprintable()
    assert place.around() == place.before
    assert not Path("/tmp/jobferry-evil").exists()


FORMS = {
    "tar": "w:",
    "tar.gz": "w:gz",
    "tar.bz2": "w:bz2",
    "tar.xz": "w:xz",
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_an_honest_tar_arrives(place: Place, form: str, kind: int) -> None:
    long = "folder/" + "n" * 90
    archive = tar(
        header("./", tarfile.DIRTYPE, mode=0o755),
        header("./empty/", tarfile.DIRTYPE, mode=0o500),
        ("./bin/tool", b"#!/bin/sh\n"),
        header("script", mode=0o4755, size=700, mtime=1_000_000_000),
        header("locked", mode=0o000, size=3),
        (long, b"1" * 513),
        ("nothing", b""),
        link("bin/link", "../script"),
        link("folder/up", ".."),
        hard("same", "script"),
        header("empty", tarfile.DIRTYPE),
        form=FORMS[form],
        format=kind,
    )
    found = place.unpack(archive, form)
    assert found == sorted(
        [
            "empty/",
            "bin/",
            "bin/tool",
            "bin/link",
            "script",
            "locked",
            "folder/",
            long,
            "nothing",
            "folder/up",
            "same",
        ]
    )
    root = place.tree.path
    umask = os.umask(0o022)
    os.umask(umask)
    assert (root / "script").stat().st_mode & 0o7777 == 0o755 & ~umask
    assert (root / "locked").stat().st_mode & 0o777 == 0o600
    assert (root / "script").stat().st_mtime == 1_000_000_000
    assert (root / "bin/link").read_bytes() == b"x" * 700
    assert (root / "same").stat().st_ino == (root / "script").stat().st_ino
    assert (root / long).read_bytes() == b"1" * 513


def test_an_honest_zip_arrives(place: Place) -> None:
    archive = zipped(
        ("folder/", b"", 0o40755 << 16),
        ("folder/日本語", b"1" * 100_000),
        ("run", b"#!/bin/sh\n", 0o755 << 16),
        ("plain", b"1"),
        ("link", "folder/日本語".encode(), SYMLINK),
    )
    found = place.unpack(archive, "zip")
    assert found == ["folder/", "folder/日本語", "link", "plain", "run"]
    root = place.tree.path
    assert (root / "link").read_bytes() == b"1" * 100_000
    assert os.access(root / "run", os.X_OK)
    assert not (root / "plain").stat().st_mode & 0o111


@pytest.mark.parametrize(
    ("form", "pack"), [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)]
)
def test_compressed_files_that_follow_each_other_are_one(
    place: Place, form: str, pack: object
) -> None:
    assert callable(pack)
    content = os.urandom(300_000)
    place.unpack(pack(content[:1000]) + pack(content[1000:]), form)
    assert (place.tree.path / "file").read_bytes() == content


def test_the_padding_of_xz_is_no_damage(place: Place) -> None:
    place.unpack(lzma.compress(b"x") + bytes(8), "xz")
    assert (place.tree.path / "file").read_bytes() == b"x"


def test_what_is_within_the_limits_is_taken(place: Place) -> None:
    assert place.unpack(tar(("a", os.urandom(9_000_000))), "tar.gz") == ["a"]
    assert len(Place(place.top / "more").unpack(tar(*map(header, map(str, range(99)))), "tar.gz"))


# ---- any archive ----

_names = st.lists(
    st.sampled_from(["a", "b", "..", ".", "", "c\n", "é"]), min_size=1, max_size=4
).map("/".join)
_members = st.one_of(
    st.tuples(_names, st.binary(max_size=20)),
    st.builds(link, _names, _names),
    st.builds(hard, _names, _names),
    st.builds(header, _names, st.sampled_from([tarfile.DIRTYPE, tarfile.FIFOTYPE])),
)


@given(st.lists(_members, max_size=6))
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    deadline=None,
)
def test_no_tar_leaves_anything_outside(
    tmp_path_factory: pytest.TempPathFactory, members: list[tarfile.TarInfo | tuple[str, bytes]]
) -> None:
    place = Place(tmp_path_factory.mktemp("top"))
    try:
        place.unpack(tar(*members, form="w:"), "tar")
    except ArtifactRefused:
        pass
    else:
        root = place.tree.path.resolve()
        for path in root.rglob("*"):
            assert path.resolve().is_relative_to(root)
            assert path.exists()
    assert place.around() == place.before


@given(st.binary(max_size=2000), st.sampled_from(["tar", "tar.gz", "zip", "gz", "bz2", "xz"]))
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_any_bytes_are_refused_or_taken(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, form: str
) -> None:
    place = Place(tmp_path_factory.mktemp("top"))
    with contextlib.suppress(ArtifactRefused):
        place.unpack(content, form)
    assert place.around() == place.before


@given(st.data())
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_an_archive_with_flipped_bytes_is_refused_or_taken(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    form = data.draw(st.sampled_from(["tar", "zip"]))
    made = bytearray(
        tar(("a/b", b"hello" * 50), link("l", "a"), hard("h", "a/b"), form="w:")
        if form == "tar"
        else zipped(("a/b", b"hello" * 50), ("l", b"a", SYMLINK))
    )
    for at, value in data.draw(
        st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=6)
    ):
        made[at % len(made)] = value
    place = Place(tmp_path_factory.mktemp("top"))
    with contextlib.suppress(ArtifactRefused):
        place.unpack(bytes(made), form)
    assert place.around() == place.before


def test_the_memory_for_a_hostile_header_is_bounded(place: Place) -> None:
    import tracemalloc

    from tests.unit.puller.hostile_archives import raw_tar_block

    size = 64 * 1024 * 1024
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb") as file:
        file.write(raw_tar_block(b"a", f"{size:011o}\0".encode(), b"x"))
        for _ in range(size // 2**20):
            file.write(bytes(2**20))
    tracemalloc.start()
    try:
        with pytest.raises(ArtifactRefused, match="header"):
            place.unpack(packed.getvalue(), "tar.gz")
        assert tracemalloc.get_traced_memory()[1] < 32 * 1024 * 1024
    finally:
        tracemalloc.stop()
