"""The manifest of an upload."""

from __future__ import annotations

import json
import zlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_protocol import manifest as manifests
from job_protocol.manifest import Entry, Manifest, ManifestError
from tests.unit.job_protocol.strategies import text

entries = st.builds(
    Entry, path=text, version=text, size=st.integers(0, 2**50), key=st.none() | text
)
all_manifests = st.lists(entries, max_size=10).map(lambda rows: Manifest(tuple(rows)))


@given(all_manifests)
def test_it_comes_back_from_the_item_and_from_the_bucket(manifest: Manifest) -> None:
    assert Manifest.unpack(manifest.pack()) == manifest
    assert Manifest.from_json(manifest.to_json()) == manifest


def test_it_is_readable_as_japanese() -> None:
    assert "入力".encode() in Manifest((Entry("入力", "v", 1),)).to_json()


def test_an_input_of_the_job_itself_has_a_row_of_three_as_ever() -> None:
    own, shared = Entry("a", "v", 1), Entry("b", "w", 2, "shared/b")
    assert json.loads(Manifest((own, shared)).to_json()) == [
        ["a", "v", 1],
        ["b", "w", 2, "shared/b"],
    ]
    assert (own.key_for("job1"), shared.key_for("job1")) == ("job1/a", "shared/b")


def test_it_adds_up_the_bytes() -> None:
    assert Manifest((Entry("a", "v", 2), Entry("b", "w", 3))).total_bytes == 5


@given(st.binary(max_size=60))
def test_any_bytes_give_a_manifest_or_its_own_error(junk: bytes) -> None:
    for read in (Manifest.from_json, Manifest.unpack):
        with suppress(ManifestError):
            assert isinstance(read(junk), Manifest)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"ab1": 0},
        None,
        7,
        ["ab1"],
        [["a", "v"]],
        [["a", "v", 1, 2]],
        [["a", "v", 1, ""]],
        [["a", "v", 1, "k", "l"]],
        [["a", "v", "1"]],
        [["a", "v", -1]],
        [["a", "v", 1.5]],
        [[None, "v", 1]],
        [["a", 1, 1]],
    ],
)
def test_another_document_is_no_manifest(document: object) -> None:
    with pytest.raises(ManifestError, match="not a manifest of inputs"):
        Manifest.from_json(json.dumps(document).encode())


@pytest.mark.parametrize("text", [b'[["a","v",Infinity]]', b"[" * 200_000, b"\xff\xfe", b""])
def test_hostile_text_is_no_manifest(text: bytes) -> None:
    with pytest.raises(ManifestError):
        Manifest.from_json(text)


def test_a_packed_manifest_that_was_cut_is_refused() -> None:
    packed = Manifest((Entry("a", "v", 1),)).pack()
    with pytest.raises(ManifestError, match="cut short or too large"):
        Manifest.unpack(packed[:-3])


def test_a_zip_bomb_is_refused_before_it_fills_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifests, "MAX_UNPACKED", 1000)
    with pytest.raises(ManifestError, match="cut short or too large"):
        Manifest.unpack(zlib.compress(b" " * 1_000_000))
