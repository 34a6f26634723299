"""What a child may say: every plain value comes back as it was, and nothing else is read at all."""

from __future__ import annotations

import json
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import child_work as work
import numpy as np
import pytest
from feed_samples import played, write_frames
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from nowcast.field.errors import ChildError, ChildMemoryError, FormatError, UnavailableError
from nowcast.service import look, plain, published
from nowcast.service.child import Limits, call
from nowcast.service.replay import as_fast_as_can_be


class Seen(NamedTuple):
    times: tuple[np.datetime64, ...]
    series: str


@dataclass(frozen=True)
class Scored:
    lead: np.timedelta64
    sums: dict[str, bytes]


@dataclass
class Mutable:
    text: str


CLASSES = {"Seen": Seen, "Scored": Scored, "Mutable": Mutable, "Path": Path, "str": str}
LIMITS = Limits(seconds=60)

_numbers = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False)
_leaves = _numbers | st.text() | st.binary() | st.text().map(lambda text: Path("/", text))
_values = st.recursive(
    _leaves,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(st.text() | st.integers(), inner)
    ),
    max_leaves=10,
)


@given(_values)
def test_a_value_comes_back_as_it_was(value):
    again = plain.read(plain.write(value), {})
    assert again == value
    assert repr(again) == repr(value)  # 1 is not True, a tuple no list


@given(
    nps.arrays(
        nps.boolean_dtypes()
        | nps.integer_dtypes()
        | nps.floating_dtypes(endianness="<")
        | nps.datetime64_dtypes(max_period="ns", endianness="<"),
        nps.array_shapes(min_dims=0, max_dims=3, min_side=0),
    )
)
def test_arrays_keep_type_shape_and_every_bit(values):
    again = plain.read(plain.write([values]), {})[0]
    assert (again.dtype, again.shape) == (values.dtype, values.shape)
    assert again.tobytes() == values.tobytes()
    assert again.flags.writeable


def test_classes_and_errors_of_ours_come_back():
    seen = Seen((np.datetime64("2026-06-01T00:05", "ns"),), "rain")
    scored = Scored(np.timedelta64(300, "s"), {"mim": b"\x00\x01"})
    assert plain.read(plain.write([seen, scored]), CLASSES) == [seen, scored]
    error = plain.read(plain.write(UnavailableError("later", status=503)), {})
    assert (type(error), str(error), error.status) == (UnavailableError, "later", 503)
    several = [{1, 2}, frozenset({"a"})]
    assert plain.read(plain.write(several), {}) == several


def test_what_is_no_plain_value_is_not_written():
    endless: list[object] = []
    endless.append(endless)
    for value in (object(), Mutable("x"), np.array([object()]), ValueError("x"), len, endless):
        with pytest.raises(plain.PlainError):
            plain.write(value)


def _said(tree: object, parts: bytes = b"") -> bytes:
    text = json.dumps(tree).encode()
    return len(text).to_bytes(8, "little") + text + parts


@pytest.mark.parametrize(
    "tree",
    [
        {"a": 1},
        ["of", "Mutable", [["text", "x"]]],  # can be changed: holds more than values
        ["of", "Path", []],
        ["of", "Seen", [["times", 1]]],  # a field is lacking
        ["of", "os.system", []],
        ["error", "Exception", "x", []],
        ["error", "annotations", "x", []],
        ["array", "|O", [1], 0, 8],
        ["array", "<f8", [1000], 0, 8],
        ["array", "<f8", [1], 8, 8],
        ["array", "<f8", [1], -8, 8],
        ["bytes", 0, 1 << 62],
        ["eval", "1"],
        [],
    ],
)
def test_what_was_not_asked_for_is_refused(tree):
    with pytest.raises(plain.PlainError):
        plain.read(_said(tree, bytes(8)), CLASSES)


@given(st.binary(max_size=60), st.integers(0, 40))
def test_strange_bytes_are_refused_or_a_value(tail, keep):
    whole = plain.write(["x", np.arange(3), Seen((), "y")])
    for said in (tail, whole[:keep] + tail):
        try:
            plain.read(said, CLASSES)
        except plain.PlainError:
            continue


def test_a_child_that_speaks_pickle_runs_nothing_here(tmp_path):
    """The answer is what a child says that was taken over: a pickle that would run a program."""
    mark = tmp_path / "run"
    hostile = pickle.dumps(work.Trap(f"touch {mark}"))
    with pytest.raises(ChildError, match="say: its answer cannot be read"):
        call(work.say, hostile, limits=LIMITS)
    assert not mark.exists()
    pickle.loads(hostile)
    assert mark.exists()  # the trap is a trap


def test_a_child_that_says_without_end_is_stopped():
    with pytest.raises(ChildError, match="say_without_end: its answer is longer than 256 MiB"):
        call(work.say_without_end, limits=LIMITS)


def test_an_answer_of_another_form_is_an_error():
    for tree in ("result", ["tuple", ["other", 1]], ["tuple", ["refused", "no error"]]):
        with pytest.raises(ChildError, match="neither a result nor an error"):
            call(work.say, _said(tree), limits=LIMITS)
    with pytest.raises(ChildMemoryError):
        call(work.say, _said(["tuple", ["memory", "x"]]), limits=LIMITS)
    with pytest.raises(FormatError, match="broken"):
        call(work.say, plain.write(("refused", FormatError("broken"))), limits=LIMITS)


@pytest.mark.parametrize("said", [None, look.Seen(("yesterday",), "x"), look.Seen((), "x")])
def test_a_reader_that_says_something_else_is_its_file_s_fault(tmp_path, said):
    frames = write_frames(tmp_path / "archive", count=2, size=16)
    world = played(tmp_path, frames, feed={"patience_seconds": 1.0})
    with world.service() as service:
        honest = service.intake.look

        def taken_over(path, *given):
            return said if path.name == frames[0][1].name else honest(path, *given)

        service.intake.look = taken_over
        hour = np.timedelta64(1, "h")
        as_fast_as_can_be(service, world.clock, world.feeder, until=frames[0][0] + hour)
    (refused,) = world.kinds("frame rejected")
    assert refused.facts["file"] == frames[0][1].name
    assert "not what was asked for" in refused.facts["reason"]
    assert [cycle.issue_time for cycle in published.cycles(world.layout)] == [frames[1][0]]
