"""The data sets of the paper: by hand, by law, and the same for any number of workers."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from mim_core.datasets import human36m, taxibj
from mim_core.datasets.colour_mnist import DARKEST, FASTEST, SLOWEST, changing
from mim_core.datasets.crops import Crops
from mim_core.datasets.digits import digits_of, read_digits
from mim_core.datasets.human36m import Human36M, picture
from mim_core.datasets.moving_mnist import MovingMNIST, flight

BLOCKS = np.full((12, 28, 28), 255, np.uint8)


def idx(digits: NDArray[np.uint8]) -> bytes:
    header = np.array([0x0803, *digits.shape], ">u4")
    return header.tobytes() + digits.tobytes()


# Digits


def test_idx_files_are_read_gzipped_or_not(tmp_path: Path) -> None:
    digits = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
    (tmp_path / "plain").write_bytes(idx(digits))
    (tmp_path / "zipped.gz").write_bytes(gzip.compress(idx(digits)))
    for name in ("plain", "zipped.gz"):
        assert np.array_equal(read_digits(tmp_path / name), digits)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "0 bytes, expected an idx file"),
        (idx(BLOCKS)[:-1], "9423 bytes, expected 9424 for 12 digits of 28x28"),
        (np.array([0x0801, 2, 0, 0], ">u4").tobytes(), "starts with 0x00000801"),
        (gzip.compress(idx(BLOCKS), mtime=0)[:-9], "damaged gzip"),
    ],
)
def test_files_that_are_no_digits_are_refused(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "digits").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_digits(tmp_path / "digits")


@given(count=st.integers(10, 60))
def test_no_digit_is_in_two_parts_and_none_is_lost(count: int) -> None:
    numbered = np.arange(count, dtype=np.uint8)[:, None, None]
    parts = [digits_of(numbered, part).ravel() for part in ("train", "validation", "test")]
    assert sorted(np.concatenate(parts)) == list(range(count))
    assert min(len(part) for part in parts) >= 1


def test_the_real_digits_are_seven_to_two(shared_data: Path) -> None:
    digits = read_digits(shared_data / "digits/t10k-images-idx3-ubyte.gz")
    assert digits.shape == (10_000, 28, 28)
    assert [len(digits_of(digits, part)) for part in ("train", "validation", "test")] == [
        7000,
        1000,
        2000,
    ]


# Moving MNIST


@given(seed=st.integers(0, 10_000))
def test_a_digit_flies_straight_inside_and_turns_at_the_edges(seed: int) -> None:
    places = flight(np.random.default_rng(seed), length=30, room=(36_000, 36_000))
    assert places.min() >= 0
    assert places.max() <= 36_000
    steps = np.diff(places, axis=0)
    speeds = np.abs(steps)
    # On each axis the speed stays, but where an edge cut a step short.
    for axis in (0, 1):
        touched = np.isin(places[:, axis], (0, 36_000))
        free = ~(touched[1:] | touched[:-1])
        assert np.ptp(speeds[free, axis]) <= 1 if free.any() else True
        assert (np.sign(steps[1:, axis]) == np.sign(steps[:-1, axis]))[~touched[1:-1]].all()
    whole = ~(np.isin(places[1:], (0, 36_000)) | np.isin(places[:-1], (0, 36_000))).any(axis=1)
    assert np.hypot(*steps[whole].T) == pytest.approx(3600, abs=2)


def test_a_sequence_by_hand() -> None:
    frames = MovingMNIST(BLOCKS, count=3, seed=4)[1]["frames"]
    assert frames.shape == (20, 1, 64, 64)
    assert set(frames.unique().tolist()) == {0.0, 1.0}
    # Two blocks of 28x28 that may overlap, but are never cut off.
    counts = frames.sum(dim=(1, 2, 3))
    assert counts.min() >= 28 * 28
    assert counts.max() <= 2 * 28 * 28
    one = MovingMNIST(BLOCKS, count=3, seed=4, objects=1)[1]["frames"]
    assert one.sum(dim=(1, 2, 3)).tolist() == [28 * 28] * 20


def test_sequences_are_fixed_and_differ() -> None:
    made, again = (MovingMNIST(BLOCKS, count=100, seed=7) for _ in range(2))
    assert torch.equal(made[41]["frames"], again[41]["frames"])
    assert not torch.equal(made[41]["frames"], made[42]["frames"])
    other = MovingMNIST(BLOCKS, count=100, seed=8)
    assert not torch.equal(made[41]["frames"], other[41]["frames"])
    with pytest.raises(IndexError, match="sequence 100: expected 0 to 99"):
        made[100]


# Colour-changing Moving MNIST


@given(seed=st.integers(0, 10_000))
def test_colours_run_evenly_and_turn_back(seed: int) -> None:
    colours = changing(np.random.default_rng(seed), length=40)
    assert colours.shape == (40, 3)
    assert colours.min() >= DARKEST - 1e-6
    assert colours.max() <= 1 + 1e-6
    steps = np.abs(np.diff(colours, axis=0))
    fastest = steps.max(axis=0)
    assert (fastest >= SLOWEST - 1e-6).all()
    assert (fastest <= FASTEST + 1e-6).all()
    # Every step is the same, but for those in which a channel turns back.
    assert (np.count_nonzero(steps < fastest - 1e-5, axis=0) <= 4).all()


def test_a_colour_sequence_shows_the_digits_of_the_grey_one_in_changing_colours() -> None:
    frames = MovingMNIST(BLOCKS, count=2, seed=1, objects=1, paint=changing)[0]["frames"]
    assert frames.shape == (20, 3, 64, 64)
    lit = frames > 0
    assert lit.sum(dim=(2, 3)).unique().tolist() == [28 * 28]
    colours = frames.amax(dim=(2, 3))
    assert (colours[1:] != colours[:-1]).all()
    assert torch.equal(frames, lit * colours[:, :, None, None])


# TaxiBJ


def city(days: int, *, without: tuple[int, ...] = (), slots: int = 4) -> tuple:  # type: ignore[type-arg]
    """Counts that name their slot: 100 * day + slot, of days in 2015, some slots taken out."""
    numbers = np.array([n for n in range(days * slots) if n not in without])
    times = np.datetime64("2015-03-01T00:00", "ns") + numbers * np.timedelta64(6, "h")
    counts = (100 * (numbers // slots) + numbers % slots).astype(np.float32)
    return np.broadcast_to(counts[:, None, None, None], (len(numbers), 2, 3, 4)), times


def test_days_that_lack_a_slot_are_left_out_and_no_window_reaches_over_them() -> None:
    counts, times = city(8, without=(9,))  # the third day is short of its second slot
    flows = taxibj.flows_of(counts, times, slots=4, test_days=2)
    assert len(flows.frames) == 7 * 4
    assert flows.gaps == (8,)
    first = [item["frames"][0, 0, 0, 0].item() for item in flows.windows("train", length=4)]
    found = [round(value * flows.most + (1 - value) * flows.least) for value in first]
    assert found == [0, 1, 2, 3, 100, *range(300, 304), *range(400, 404), 500]


def test_scaling_knows_nothing_of_the_test() -> None:
    counts, times = city(6)
    flows = taxibj.flows_of(counts, times, slots=4, test_days=1)
    assert (flows.least, flows.most) == (0.0, 403.0)
    assert flows.frames[:20].max() == 1.0
    assert flows.frames.max() == pytest.approx(503 / 403)


@settings(max_examples=20)
@given(
    days=st.integers(5, 9),
    test_days=st.integers(1, 2),
    validation_days=st.integers(0, 2),
    length=st.integers(2, 4),
)
def test_every_last_frame_belongs_to_one_part(
    days: int, test_days: int, validation_days: int, length: int
) -> None:
    counts, times = city(days)
    flows = taxibj.flows_of(
        counts, times, slots=4, test_days=test_days, validation_days=validation_days
    )
    parts = ("train", "validation", "test") if validation_days else ("train", "test")
    last = [
        [item["frames"][-1, 0, 0, 0].item() for item in flows.windows(part, length=length)]
        for part in parts
    ]
    together = [value for part in last for value in part]
    assert together == sorted(set(together))
    assert len(together) == days * 4 - length + 1
    assert len(last[-1]) == test_days * 4


def test_what_is_usual_is_the_mean_of_earlier_days_alone() -> None:
    counts, times = city(5)
    flows = taxibj.flows_of(counts, times, slots=4, test_days=1)
    item = flows.beside_usual("test", length=4)[3]  # the last day, all of it
    usual = item["usual"][:, 0, 0, 0] * flows.most
    assert usual.tolist() == pytest.approx([150, 151, 152, 153])
    assert (item["frames"][:, 0, 0, 0] * flows.most).tolist() == pytest.approx([400, 401, 402, 403])
    assert flows.usual(2).abs().max() == 0


def test_too_few_days_are_refused() -> None:
    counts, times = city(3)
    with pytest.raises(ValueError, match="found 3 complete days, expected more than the 2 of"):
        taxibj.flows_of(counts, times, slots=4, test_days=2, validation_days=1)
    with pytest.raises(ValueError, match="found 0 everywhere"):
        taxibj.flows_of(0 * counts, times, slots=4, test_days=1)


# Human3.6M


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "S11_Walking_1.54138969_000471.jpg",
            human36m.Picture("S11", "Walking", "1", "54138969", 471),
        ),
        ("S1_Walking.60457274_000001.jpg", human36m.Picture("S1", "Walking", "", "60457274", 1)),
        ("S1_Walking.60457274_000001.png", None),
        ("Walking_1.54138969_000471.jpg", None),
        (".DS_Store", None),
    ],
)
def test_names_are_parsed(name: str, expected: human36m.Picture | None) -> None:
    assert picture(name) == expected


def film(folder: Path, name: str, *, pictures: int, skip: int | None = None) -> None:
    """Pictures whose middle half is as red as their number, in a green frame."""
    for number in range(pictures):
        if number != skip:
            pixels = np.zeros((32, 32, 3), np.uint8)
            pixels[..., 1] = 255
            pixels[8:24, 8:24] = (4 * number, 0, 0)
            path = folder / f"{name}_{5 * number + 1:06d}.jpg"
            Image.fromarray(pixels).save(path, quality=95, subsampling=0)


def test_every_second_picture_of_one_film_by_the_subjects_asked_for(tmp_path: Path) -> None:
    film(tmp_path, "S1_Walking_1.111", pictures=26)
    film(tmp_path, "S1_Walking_1.222", pictures=26, skip=12)
    film(tmp_path, "S9_Walking_1.111", pictures=10)
    film(tmp_path, "S1_Eating_1.111", pictures=26)
    train = Human36M(tmp_path, length=4, size=16)
    begun = [[picture(path.name).frame for path in paths] for paths in train.sequences]  # type: ignore[union-attr]
    whole = [[5 * n + 1 for n in (start, start + 2, start + 4, start + 6)] for start in (0, 10)]
    # The second camera lacks its picture 12: the sequence that would reach over it is left out.
    assert begun == [*whole, whole[0]]
    frames = train[1]["frames"]
    assert frames.shape == (4, 3, 16, 16)
    assert frames[:, 0].mean(dim=(1, 2)).tolist() == pytest.approx(
        [4 * n / 255 for n in (10, 12, 14, 16)], abs=0.01
    )
    assert frames[:, 1].max() < 0.02
    test = Human36M(
        tmp_path, subjects=human36m.TEST_SUBJECTS, stride=human36m.TEST_STRIDE, length=4, size=8
    )
    assert len(test) == 1
    assert test[0]["frames"].shape == (4, 3, 8, 8)


def test_a_folder_without_a_sequence_is_refused(tmp_path: Path) -> None:
    film(tmp_path, "S1_Walking_1.111", pictures=6)
    with pytest.raises(ValueError, match="no 8 pictures in a row of Walking by S1, S5"):
        Human36M(tmp_path)
    with pytest.raises(ValueError, match="no such folder"):
        Human36M(tmp_path / "absent")


def test_subjects_of_training_and_test_are_apart() -> None:
    assert not set(human36m.TRAIN_SUBJECTS) & set(human36m.TEST_SUBJECTS)


# Crops


def test_crops_are_seen_busy_and_fixed() -> None:
    series = torch.zeros(12, 1, 40, 40)
    series[:, :, 20:, 20:] = 1.0
    series[:, :, :5] = torch.nan
    crops = Crops(series, length=4, size=10, count=20, seed=3, busy=0.5, busy_share=0.5)
    for index in range(20):
        item = crops[index]
        assert item["frames"].shape == item["mask"].shape == (4, 1, 10, 10)
        assert item["mask"].min() == 1
        assert (item["frames"][2] >= 0.5).float().mean() >= 0.5
    assert torch.equal(crops[7]["frames"], crops[7]["frames"])


def test_where_nothing_is_busy_a_crop_comes_all_the_same() -> None:
    crops = Crops(torch.zeros(6, 1, 12, 12), length=4, size=8, count=1, busy=0.5, busy_share=0.5)
    assert crops[0]["mask"].min() == 1
    with pytest.raises(ValueError, match="found 6 frames of 12x12, expected 4 or more of 16x16"):
        Crops(torch.zeros(6, 1, 12, 12), length=4, size=16)


# All of them


def test_workers_give_what_one_process_gives(tmp_path: Path) -> None:
    film(tmp_path, "S1_Walking_1.111", pictures=50)
    counts, times = city(6)
    flows = taxibj.flows_of(counts, times, slots=4, test_days=1)
    sets = [
        MovingMNIST(BLOCKS, count=5, length=4),
        MovingMNIST(BLOCKS, count=5, length=4, paint=changing),
        Human36M(tmp_path, length=4, size=8),
        flows.beside_usual("test", length=3),
        Crops(torch.rand(8, 1, 12, 12), length=4, size=8, count=5),
    ]
    for data in sets:
        assert isinstance(data, Dataset)
        alone = [batch["frames"] for batch in DataLoader(data, batch_size=2)]
        shared = [batch["frames"] for batch in DataLoader(data, batch_size=2, num_workers=2)]
        assert len(alone) == len(shared) == -(-len(data) // 2)  # type: ignore[arg-type]
        assert all(torch.equal(one, two) for one, two in zip(alone, shared, strict=True))
