"""Makes inputs out of samples: by edits, which Hypothesis can shrink and the long form can draw."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from copy import deepcopy
from typing import Any, NamedTuple

from hypothesis import strategies as st

_MOST_EDITS = 6
_MOST_CUT = 24
_PLACES = 1 << 16
WORDS = (
    *(b"", b"\0", b"\n", b"\r\n", b"\xff", b"\xf0\x9f\x98\x80", b"\xe2\x80\xae", b" ", b"\t"),
    *(b"/", b"//", b"../", b"..", b".", b"\\", b"%2e%2e/", b"~", b"*", b"?", b"#", b"$", b"${"),
    *(b"{", b"}", b"[", b"]", b"(", b")", b'"', b"'", b"<", b">", b"&", b"=", b",", b":", b";"),
    *(b"0", b"-1", b"1e999", b"99999999999999999999", b"NaN", b"null", b"true", b"[[[[", b"-"),
)
"""What breaks parsers of many kinds."""


class Edit(NamedTuple):
    """One change: at a place (a part of 65,536 of the length) cut bytes out and put others in."""

    at: int
    cut: int
    put: bytes


def edited(sample: bytes, edits: Sequence[Edit]) -> bytes:
    """The sample with the edits, one after the other."""
    for edit in edits:
        place = edit.at * (len(sample) + 1) // _PLACES
        sample = sample[:place] + edit.put + sample[place + edit.cut :]
    return sample


VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**63, 1e308, 0.5, "", "a", "../x", "/etc/passwd", "a\0b"),
    *("\ud800", "x" * 5000, "${a.b}", "1h", [], {}, [[]], {"a": {}}, ["a", 1], {"": None}),
)
"""What stands where something else should."""


def restructured(source: random.Random, sample: bytes) -> bytes:
    """A JSON document with one to three of its values replaced, removed or put elsewhere."""
    document = json.loads(sample)
    for _ in range(source.randrange(1, 4)):
        document = _replaced(source, document)
    return json.dumps(document).encode()


def _replaced(source: random.Random, value: Any) -> Any:
    if not value or not isinstance(value, (dict, list)) or source.random() < 0.15:
        return deepcopy(source.choice(VALUES))
    places = list(value) if isinstance(value, dict) else list(range(len(value)))
    place = source.choice(places)
    what = source.random()
    if what < 0.1:
        del value[place]
    elif what < 0.2 and isinstance(value, dict):
        value[source.choice(("ID", "", "a/b", "Name", "x" * 300))] = deepcopy(value[place])
    elif what < 0.2:
        value.append(deepcopy(value[place]))
    else:
        value[place] = _replaced(source, value[place])
    return value


def inputs(
    samples: Sequence[bytes], words: Sequence[bytes], *, json_too: bool
) -> st.SearchStrategy[bytes]:
    """Inputs for Hypothesis."""
    put = st.sampled_from((*WORDS, *words)) | st.binary(max_size=6)
    edit = st.builds(Edit, st.integers(0, _PLACES - 1), st.integers(0, _MOST_CUT), put)
    edits = st.lists(edit, max_size=_MOST_EDITS)
    made = st.builds(edited, st.sampled_from(samples), edits) | st.binary(max_size=40)
    if not json_too:
        return made
    randoms = st.randoms(use_true_random=False)
    return made | st.builds(restructured, randoms, st.sampled_from(samples))


def drawn(
    source: random.Random, samples: Sequence[bytes], words: Sequence[bytes], *, json_too: bool
) -> bytes:
    """One input for the long form; as `inputs`, a hundred times as fast."""
    if json_too and source.random() < 0.5:
        return restructured(source, source.choice(samples))
    if source.random() < 0.02:
        return source.randbytes(source.randrange(60))
    known = (*WORDS, *words)
    edits = [
        Edit(
            source.randrange(_PLACES),
            source.choice((0, 0, 1, 2, source.randrange(_MOST_CUT))),
            source.choice(known) if source.random() < 0.7 else source.randbytes(2),
        )
        for _ in range(source.randrange(_MOST_EDITS + 1))
    ]
    return edited(source.choice(samples), edits)
