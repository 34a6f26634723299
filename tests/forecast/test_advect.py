from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nowcast.field.errors import MethodError, SchemaError
from nowcast.forecast.advect import (
    Carrier,
    displacements,
    extrapolate,
    paths,
    to_lagrangian,
    warp,
)
from nowcast.forecast.pysteps_quietly import quietly

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

NAN = float("nan")


def same(one: Tensor, other: Tensor) -> bool:
    return torch.equal(torch.nan_to_num(one, -1.0), torch.nan_to_num(other, -1.0))


def uniform(right: float, down: float, shape: tuple[int, int]) -> Tensor:
    return torch.tensor([right, down]).reshape(2, 1, 1).expand(2, *shape).contiguous()


def turning(height: int, width: int, *, degrees: float) -> Tensor:
    """A rigid rotation about the middle, clockwise on a map whose rows go down."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    angle = np.deg2rad(degrees)
    return angle * torch.stack([-(y - (height - 1) / 2), x - (width - 1) / 2])


def blob(height: int, width: int, *, row: float, column: float, size: float = 4.0) -> Tensor:
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.exp(-((y - row) ** 2 + (x - column) ** 2) / (2 * size**2))


# By hand.


def test_whole_cells_are_shifted_exactly_and_the_edge_is_unseen() -> None:
    field = torch.tensor([[1.0, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]])
    forecast = extrapolate(field, uniform(1, 1, (3, 4)), steps=2)
    expected = torch.tensor(
        [
            [[NAN, NAN, NAN, NAN], [NAN, 1, 2, 3], [NAN, 5, 6, 7]],
            [[NAN, NAN, NAN, NAN], [NAN, NAN, NAN, NAN], [NAN, NAN, 1, 2]],
        ]
    )
    assert same(forecast, expected)


def test_motion_is_right_along_columns_and_down_the_rows() -> None:
    field = torch.zeros(3, 4)
    field[1, 1] = 7.0
    assert extrapolate(field, uniform(2, 0, (3, 4)), steps=1)[0, 1, 3] == 7
    assert extrapolate(field, uniform(-1, 0, (3, 4)), steps=1)[0, 1, 0] == 7
    assert extrapolate(field, uniform(0, 1, (3, 4)), steps=1)[0, 2, 1] == 7
    assert extrapolate(field, uniform(0, -1, (3, 4)), steps=1)[0, 0, 1] == 7


def test_between_cells_the_value_is_linear() -> None:
    field = torch.tensor([[0.0, 4, 8, 0]]).expand(2, 4)
    forecast = extrapolate(field, uniform(0.5, 0, (2, 4)), steps=1)
    # Half of the first cell's weight is beyond the edge: what is seen speaks alone.
    assert forecast[0].tolist() == [[0, 2, 6, 4]] * 2
    quarter = extrapolate(field, uniform(0.25, 0, (2, 4)), steps=1)
    assert quarter[0, 0].tolist() == [0, 3, 7, 2]


def test_missing_travels_as_missing() -> None:
    field = torch.tensor([[1.0, NAN, 3, 5]]).expand(2, 4)
    # Three quarters of the weight on the cell itself, one on its left neighbour.
    near = extrapolate(field, uniform(0.25, 0, (2, 4)), steps=1)[0, 0]
    assert torch.isnan(near).tolist() == [False, True, False, False]
    assert near[2] == 3  # the missing neighbour's quarter falls to the seen cell
    far = extrapolate(field, uniform(0.75, 0, (2, 4)), steps=1)[0, 0]
    assert torch.isnan(far).tolist() == [True, False, True, False]
    assert far[1] == 1
    half = extrapolate(field, uniform(0.5, 0, (2, 4)), steps=1)[0, 0]
    assert half.tolist() == [1, 1, 3, 4]


def test_no_trace_of_rain_leaks_into_dry_cells() -> None:
    field = torch.zeros(100, 333)
    field[40:60, 100:200] = 150.0
    forecast = extrapolate(field, uniform(3, -2, (100, 333)), steps=9)
    for lead, moved in enumerate(forecast, start=1):
        wet = torch.nan_to_num(moved) > 0
        assert wet.sum() == 20 * 100
        assert wet[40 - 2 * lead, 100 + 3 * lead]


def test_the_form_of_the_field_is_kept() -> None:
    motion = uniform(1, 0, (3, 5))
    field = torch.rand(2, 4, 3, 5)
    whole = extrapolate(field, motion, steps=3)
    assert whole.shape == (3, 2, 4, 3, 5)
    assert same(whole[:, 1, 2], extrapolate(field[1, 2], motion, steps=3))
    assert same(whole[:, 1], extrapolate(field[1], motion, steps=3))


def test_every_field_can_have_its_own_way() -> None:
    fields = torch.rand(2, 3, 4, 5)
    ways = torch.stack([uniform(-1, 0, (4, 5)), uniform(0, -2, (4, 5))])
    apart = warp(fields, ways)
    assert same(apart[0], extrapolate(fields[0], uniform(1, 0, (4, 5)), steps=1)[0])
    assert same(apart[1], extrapolate(fields[1], uniform(0, 2, (4, 5)), steps=1)[0])
    assert same(warp(fields, ways[:1])[1], warp(fields[1:], ways[:1])[0])


def test_layers_with_one_mask_are_carried_as_they_are_warped() -> None:
    generator = torch.Generator().manual_seed(3)
    seen = torch.rand(30, 41, generator=generator) > 0.3
    ways = displacements(turning(30, 41, degrees=6), steps=3)
    carry = Carrier(seen, layers=4)
    for way in ways:  # what an earlier call left behind is not seen in the next one
        layers = torch.randn(4, 30, 41, generator=generator)
        expected = warp(torch.where(seen, layers, torch.nan)[None], way[None])[0]
        assert same(carry(layers, way), expected)


def test_paths_one_by_one_are_the_displacements() -> None:
    motion = turning(70, 900, degrees=6)  # several bands
    ways = [way.clone() for way in paths(motion, steps=3)]
    assert torch.equal(torch.stack(ways), displacements(motion, steps=3))
    assert list(paths(motion, steps=0)) == []


def test_displacements_of_a_batch_are_those_of_its_members() -> None:
    motions = torch.stack([turning(9, 12, degrees=5), uniform(1, 2, (9, 12))])
    batch = displacements(motions, steps=3)
    assert batch.shape == (3, 2, 2, 9, 12)
    assert torch.equal(batch[:, 0], displacements(motions[0], steps=3))
    assert torch.allclose(batch[2, 1, :, 4, 4], torch.tensor([-3.0, -6.0]))


def test_frames_of_a_drifting_storm_agree_at_issue_time() -> None:
    row = torch.arange(12.0)
    frames = torch.stack([torch.roll(row, 2 * t) for t in range(4)])[:, None, None].expand(
        4, 1, 3, 12
    )
    still = to_lagrangian(frames, uniform(2, 0, (3, 12)))
    seen = ~torch.isnan(still)
    assert seen.sum(dim=-1)[:, 0, 0].tolist() == [6, 8, 10, 12]
    assert torch.equal(still[seen], frames[-1:].expand(4, 1, 3, 12)[seen])
    ways = displacements(uniform(2, 0, (3, 12)), steps=2)
    out = warp(frames[-1:].expand(2, 1, 3, 12), ways)
    assert same(out, extrapolate(frames[-1], uniform(2, 0, (3, 12)), steps=2))


def test_a_single_frame_is_at_issue_time_already() -> None:
    frames = torch.tensor([[[[1.0, NAN], [0, 2]]]])
    assert same(to_lagrangian(frames, uniform(5, 5, (2, 2))), frames)


# By law.

cells = st.one_of(st.just(NAN), st.floats(0, 100, width=32))
sizes = st.tuples(st.integers(2, 9), st.integers(2, 9))


@st.composite
def fields(draw: st.DrawFn) -> Tensor:
    height, width = draw(sizes)
    values = draw(st.lists(cells, min_size=height * width, max_size=height * width))
    return torch.tensor(values).reshape(height, width)


@st.composite
def motions_for(draw: st.DrawFn, shape: tuple[int, ...]) -> Tensor:
    seed = draw(st.integers(0, 2**16))
    random = np.random.default_rng(seed)
    return torch.from_numpy(random.normal(scale=1.5, size=(2, *shape)).astype(np.float32))


@given(fields())
def test_without_motion_nothing_changes(field: Tensor) -> None:
    forecast = extrapolate(field, torch.zeros(2, *field.shape), steps=3)
    for moved in forecast:
        assert same(moved, field)


@given(fields(), st.integers(-4, 4), st.integers(-4, 4))
def test_whole_cells_a_step_are_whole_cells_at_every_lead(
    field: Tensor, right: int, down: int
) -> None:
    height, width = field.shape
    forecast = extrapolate(field, uniform(right, down, (height, width)), steps=3)
    for lead in (1, 2, 3):
        around = np.pad(field.numpy(), 12, constant_values=np.nan)
        top, left = 12 - lead * down, 12 - lead * right
        expected = torch.from_numpy(around[top : top + height, left : left + width].copy())
        assert same(forecast[lead - 1], expected)


@given(st.data())
def test_a_field_and_its_mask_agree(data: st.DataObject) -> None:
    field = data.draw(fields())
    motion = data.draw(motions_for(tuple(field.shape)))
    moved = extrapolate(field, motion, steps=2)
    ones = torch.where(torch.isnan(field), NAN, 1.0)
    mask = extrapolate(ones, motion, steps=2)
    assert torch.equal(torch.isnan(moved), torch.isnan(mask))
    assert torch.allclose(mask[~torch.isnan(mask)], torch.tensor(1.0))
    said = moved[~torch.isnan(moved)]
    if said.numel():
        finite = field[~torch.isnan(field)]
        slack = 1e-5 * float(finite.max())
        assert said.min() >= finite.min() - slack
        assert said.max() <= finite.max() + slack


@given(st.data(), st.floats(0, 5, width=32))
def test_the_forecast_is_linear_in_the_field(data: st.DataObject, factor: float) -> None:
    shape = data.draw(sizes)
    motion = data.draw(motions_for(shape))
    one, other = torch.rand(2, *shape)
    both = extrapolate(one + factor * other, motion, steps=2)
    apart = extrapolate(one, motion, steps=2) + factor * extrapolate(other, motion, steps=2)
    assert torch.allclose(both, apart, atol=1e-4, equal_nan=True)


# By story.


def test_a_storm_that_drifts_and_turns_arrives_where_it_should() -> None:
    field = blob(81, 91, row=40, column=65)  # 20 cells right of the middle
    forecast = extrapolate(field, turning(81, 91, degrees=5), steps=18)
    below = forecast[17]  # a quarter turn: 20 cells below the middle
    assert torch.allclose(torch.nan_to_num(below), blob(81, 91, row=60, column=45), atol=0.02), (
        "a rotated blob is the blob, but for one interpolation"
    )


def test_one_interpolation_a_lead_keeps_the_peak() -> None:
    field = blob(64, 200, row=32, column=20, size=2.0)
    forecast = extrapolate(field, uniform(5.5, 0, (64, 200)), steps=24)
    peaks = forecast.nan_to_num().amax(dim=(1, 2))
    assert peaks[1::2].min() == pytest.approx(1.0, abs=1e-3)  # whole cells every other lead
    # In between they are those of a single step of half a cell, however long the way.
    assert peaks[::2].min() == pytest.approx((1 + np.exp(-1 / 8)) / 2, abs=1e-3)


def test_substeps_follow_a_strong_turn_more_closely() -> None:
    motion = turning(81, 91, degrees=45)
    field, expected = blob(81, 91, row=40, column=65), blob(81, 91, row=60, column=45)
    errors = [
        float(
            (extrapolate(field, motion, steps=2, substeps=n)[1].nan_to_num() - expected).abs().max()
        )
        for n in (1, 8)
    ]
    assert errors[1] < 0.03 < errors[0]


# Gradients, threads, modes.


def test_the_gradient_is_the_transpose_of_the_forecast() -> None:
    torch.manual_seed(1)
    motion = turning(11, 13, degrees=10) + 0.3
    field = torch.rand(11, 13, requires_grad=True)
    forecast = extrapolate(field, motion, steps=2)
    weights = torch.rand_like(forecast)
    inner = (forecast * weights).nansum()
    (gradient,) = torch.autograd.grad(inner, field)
    assert torch.isfinite(gradient).all()
    assert float((gradient * field.detach()).sum()) == pytest.approx(inner.item(), rel=1e-5)


def test_gradients_stay_finite_beside_what_is_missing() -> None:
    frames = torch.rand(3, 2, 6, 7)
    frames[:, :, 2:4, 3] = NAN
    frames.requires_grad_()
    moved = to_lagrangian(frames, uniform(0.6, -0.3, (6, 7)))
    torch.nan_to_num(moved).sum().backward()
    assert frames.grad is not None
    assert torch.isfinite(frames.grad).all()
    assert (frames.grad[:, :, 2:4, 3] == 0).all()


def test_with_and_without_a_graph_the_forecast_is_the_same() -> None:
    field, motion = torch.rand(70, 611), turning(70, 611, degrees=1)
    plain = extrapolate(field, motion, steps=2)
    graph = extrapolate(field.clone().requires_grad_(), motion, steps=2)
    assert torch.allclose(plain, graph.detach(), atol=1e-5, equal_nan=True)
    ways = displacements(motion, steps=2)
    fields = field.expand(2, 1, 70, 611)
    warped = warp(fields, ways)
    assert same(warped[:, 0], plain)
    warped_graph = warp(fields.clone().requires_grad_(), ways)
    assert torch.allclose(warped, warped_graph.detach(), atol=1e-5, equal_nan=True)


def test_the_number_of_threads_changes_nothing() -> None:
    field, motion = torch.rand(70, 611), turning(70, 611, degrees=1)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = extrapolate(field, motion, steps=3)
        torch.set_num_threads(3)
        together = extrapolate(field, motion, steps=3)
    finally:
        torch.set_num_threads(threads)
    assert same(alone, together)


def test_bands_of_rows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(1)
    fields = torch.rand(1, 3, 40, 30, generator=generator)
    motion = 3.0 * torch.rand(2, 40, 30, generator=generator)

    def moved() -> list[Tensor]:
        ways = [way.clone() for way in paths(motion, steps=3)]
        carry = Carrier(torch.ones(40, 30, dtype=torch.bool), layers=3)
        return [*ways, warp(fields, ways[-1][None]), carry(fields[0], ways[-1])]

    whole = moved()
    monkeypatch.setattr("nowcast.forecast.parts._PART_VALUES", 7 * 30)
    for band, one in zip(moved(), whole, strict=True):
        assert same(band, one)


def test_it_works_where_torch_keeps_no_graph() -> None:
    with torch.inference_mode():
        field, motion = torch.ones(20, 30), uniform(1, 1, (20, 30))
        inside = extrapolate(field, motion, steps=2)
        warped = warp(field.expand(1, 1, 20, 30), displacements(motion, steps=1))
    assert same(warped[0, 0], inside[0])
    assert torch.isnan(inside).sum() == (20 + 30 - 1) + 2 * (20 + 30) - 4


# What does not fit.


def test_a_motion_of_another_grid_is_refused() -> None:
    with pytest.raises(SchemaError, match=r"motion of shape \(2, 4, 3\).*expected \(2, 3, 4\)"):
        extrapolate(torch.zeros(3, 4), torch.zeros(2, 4, 3), steps=1)
    with pytest.raises(SchemaError, match=r"displacement of shape \(3, 2, 3, 4\)"):
        warp(torch.zeros(2, 1, 3, 4), torch.zeros(3, 2, 3, 4))


def test_a_motion_with_holes_is_refused() -> None:
    motion = torch.zeros(2, 3, 4)
    motion[0, 1, 1] = NAN
    with pytest.raises(MethodError, match="motion holds NaN"):
        extrapolate(torch.zeros(3, 4), motion, steps=1)
    with pytest.raises(MethodError, match="motion holds NaN"):
        displacements(motion, steps=1)


# Against pysteps.


def test_displacements_are_those_of_pysteps() -> None:
    with quietly():
        from pysteps.extrapolation import semilagrangian
    motion = turning(60, 80, degrees=6) + 1.3
    _, expected = semilagrangian.extrapolate(
        None, motion.numpy().astype(float), 12, return_displacement=True
    )
    np.testing.assert_allclose(displacements(motion, steps=12)[-1], expected, atol=2e-4)


def test_a_real_forecast_is_that_of_pysteps(swiss_rates: NDArray[np.float32]) -> None:
    with quietly():
        from pysteps.extrapolation import semilagrangian
    field = swiss_rates[-1, 150:450, 100:420]  # a part of it unseen
    y, x = np.mgrid[-1:1:300j, -1:1:320j]
    motion = np.stack([3 - 1.5 * y + 0.3 * np.sin(5 * x), 1.5 + x]).astype(np.float32)
    theirs = semilagrangian.extrapolate(
        field, motion.astype(float), 12, allow_nonfinite_values=True
    )
    ours = extrapolate(torch.tensor(field), torch.from_numpy(motion), steps=12).numpy()
    said = np.isfinite(theirs)
    assert 0.3 < said.mean() < 0.95
    assert np.isfinite(ours[said]).all(), "where pysteps speaks we do"
    # pysteps loses a cell at every edge and gap; beyond that the seen area is the same.
    assert np.isfinite(ours).mean() - said.mean() < 0.02
    difference = np.abs(ours - theirs)[said]
    # What an error of a thousandth of a cell in the departure points makes at most.
    assert difference.max() < 1e-3 * np.nanmax(field)
    assert np.sqrt(np.mean(difference**2)) < 1e-4
