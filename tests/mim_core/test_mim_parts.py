"""Patches, losses, sampling, batches and metrics: by hand, by law, and against other code."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from torch import Tensor

from mim_core import batches, losses, metrics, sampling
from mim_core.config import MIMConfig
from mim_core.output import Blend, scales_let_go
from mim_core.patches import from_patches, to_patches


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


# Patches


@given(
    leading=st.lists(st.integers(0, 3), max_size=2),
    channels=st.integers(1, 3),
    grid=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    patch=st.integers(1, 4),
)
def test_patches_and_back_is_the_identity(
    leading: list[int], channels: int, grid: tuple[int, int], patch: int
) -> None:
    frames = random(*leading, channels, grid[0] * patch, grid[1] * patch)
    patched = to_patches(frames, patch=patch)
    assert patched.shape == (*leading, patch * patch * channels, *grid)
    assert torch.equal(from_patches(patched, patch=patch), frames)
    assert torch.equal(to_patches(from_patches(patched, patch=patch), patch=patch), patched)


def test_patch_channels_run_row_column_channel() -> None:
    frames = torch.tensor([[[0.0, 1.0], [2.0, 3.0]], [[10.0, 11.0], [12.0, 13.0]]])  # (C, H, W)
    patched = to_patches(frames, patch=2)
    assert patched.flatten().tolist() == [0, 10, 1, 11, 2, 12, 3, 13]


@given(blend=st.sampled_from([1, 3, 5, 7]), patch=st.integers(1, 4), seed=st.integers(0, 99))
def test_a_blend_begins_as_the_binomial_blur_of_scipy(blend: int, patch: int, seed: int) -> None:
    config = MIMConfig(in_channels=1, out_channels=2, patch=patch, blend_kernel=blend)
    pixels = random(1, 2, 3 * patch, 4 * patch, seed=seed)
    blended = from_patches(Blend(config)(to_patches(pixels, patch=patch)), patch=patch)
    row = np.array([math.comb(blend - 1, k) for k in range(blend)]) / 2.0 ** (blend - 1)
    for channel in range(2):
        expected = ndimage.convolve(pixels[0, channel].numpy(), np.outer(row, row), mode="nearest")
        np.testing.assert_allclose(blended[0, channel].detach().numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("wrong", [-1, 2, True, 1.5])
def test_a_blend_of_no_middle_is_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match=r"blend_kernel: found .*, expected 0 or an odd number"):
        MIMConfig.from_dict({"in_channels": 1, "blend_kernel": wrong})


def test_a_cascade_lets_the_finest_scale_go_by_hand() -> None:
    field = torch.tensor([[[[0.0, 4.0, 0.0]]]])  # one row: what is above and below is the same
    shares = torch.tensor([[[[1.0, 1.0, 0.5]]]])
    gone = scales_let_go(field, shares)
    # Smoothed by 1, 2, 1 the row is 1, 2, 1: of the differences -1, 2, -1 the shares go.
    assert gone.tolist() == [[[[1.0, -2.0, 0.5]]]]


@given(levels=st.integers(1, 4), patch=st.integers(1, 4), seed=st.integers(0, 99))
def test_a_cascade_that_lets_all_go_leaves_the_blurs_of_scipy(
    levels: int, patch: int, seed: int
) -> None:
    field = random(1, 1, 3 * patch, 5 * patch, seed=seed)
    gone = scales_let_go(field, torch.ones(1, levels, 3, 5))
    expected = field[0, 0].numpy()
    for level in range(levels):
        row = np.zeros(2 ** (level + 1) + 1)
        row[[0, 2**level, -1]] = 0.25, 0.5, 0.25
        expected = ndimage.convolve(expected, np.outer(row, row), mode="nearest")
    np.testing.assert_allclose((field + gone)[0, 0].numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("wrong", [-1, True, 1.5, 2])
def test_a_cascade_is_refused_that_is_no_number_or_has_no_frame_to_take_from(wrong: object) -> None:
    with pytest.raises(ValueError, match="cascade_levels: found"):
        MIMConfig.from_dict({"in_channels": 1, "cascade_levels": wrong})


def test_patches_refuse_what_does_not_divide() -> None:
    with pytest.raises(ValueError, match="found 4x6, expected sides that 4 divides"):
        to_patches(random(1, 4, 6), patch=4)
    with pytest.raises(ValueError, match="found 6 channels, expected a multiple of 4"):
        from_patches(random(6, 2, 2), patch=2)


# Losses


def test_losses_by_hand() -> None:
    prediction = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], requires_grad=True)
    target = torch.tensor([[0.0, math.nan, 3.0], [2.0, 5.0, math.nan]])
    mask = torch.isfinite(target)
    weights = torch.tensor([[1.0, 9.0, 1.0], [3.0, 1.0, 9.0]])
    squared = losses.mean_squared_error(prediction, target, mask=mask)
    assert squared.item() == pytest.approx((1 + 0 + 4 + 0) / 4)
    weighted = losses.mean_absolute_error(prediction, target, mask=mask, weights=weights)
    assert weighted.item() == pytest.approx((1 * 1 + 3 * 2) / (1 + 1 + 3 + 1))
    torch.autograd.backward(squared)
    assert prediction.grad is not None
    assert prediction.grad.tolist() == [[0.5, 0.0, 0.0], [1.0, 0.0, 0.0]]


def test_a_mean_without_what_is_masked() -> None:
    errors = torch.tensor([[1.0, math.nan], [math.inf, 3.0]])
    mean = losses.masked_mean(errors, mask=torch.tensor([[1, 0], [0, 1]]))
    assert mean.item() == pytest.approx(2.0)


@pytest.mark.parametrize("loss", [losses.mean_squared_error, losses.mean_absolute_error])
def test_an_empty_mask_costs_nothing(loss: object) -> None:
    prediction = random(2, 3, 1, 4, 4).requires_grad_()
    target = torch.full((2, 3, 1, 4, 4), math.nan)
    assert callable(loss)
    value = loss(prediction, target, mask=torch.zeros(2, 1, 1, 4, 4))
    torch.autograd.backward(value)
    assert value.item() == 0.0
    assert prediction.grad is not None
    assert torch.equal(prediction.grad, torch.zeros_like(prediction))


@given(st.integers(0, 1000))
def test_what_is_masked_does_not_matter(seed: int) -> None:
    prediction, target = random(2, 3, 1, 4, 4, seed=seed), random(2, 3, 1, 4, 4, seed=seed + 1)
    mask = random(2, 3, 1, 4, 4, seed=seed + 2) > 0.5
    value = losses.mean_squared_error(prediction, target, mask=mask)
    expected = ((prediction - target)[mask] ** 2).mean()
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)


# Scheduled sampling


def test_scheduled_sampling_falls_as_in_the_paper() -> None:
    assert sampling.scheduled(0, input_length=10, total_length=20) == (1.0,) * 9
    assert sampling.scheduled(20_000, input_length=10, total_length=13) == pytest.approx((0.6, 0.6))
    assert sampling.scheduled(50_001, input_length=10, total_length=12) == (0.0,)


def test_reverse_scheduled_sampling_turns_over() -> None:
    def at(step: int) -> tuple[float, ...]:
        return sampling.reverse_scheduled(step, input_length=3, total_length=5)

    assert at(0) == (0.5, 0.5, 0.5)
    assert at(37_500) == pytest.approx((1 - 0.5 * math.exp(-2.5),) * 2 + (0.25,))
    assert at(50_000) == (1.0, 1.0, 0.0)


def test_flags_have_their_probability_and_hold_for_whole_frames() -> None:
    flags = sampling.draw_flags(
        (0.0, 0.25, 1.0), shape=(4000, 2, 2, 3), generator=sampling.generator_at(0, 0)
    )
    assert flags.shape == (4000, 3, 2, 2, 3)
    assert torch.equal(flags, flags[:, :, :1, :1, :1].expand_as(flags))
    assert flags[:, :, 0, 0, 0].mean(dim=0).tolist() == pytest.approx([0.0, 0.25, 1.0], abs=0.03)


def test_generators_depend_on_seed_and_step_alone() -> None:
    def drawn(seed: int, step: int) -> float:
        return torch.rand(1, generator=sampling.generator_at(seed, step)).item()

    assert drawn(1, 2) == drawn(1, 2)
    assert len({drawn(seed, step) for seed in range(20) for step in range(20)}) == 400


# Batches


class Numbers:
    """Item i is the number i, as a sequence of two frames."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int, /) -> dict[str, Tensor]:
        return {"frames": torch.tensor([index, -index])}


@given(count=st.integers(1, 12), batch_size=st.integers(1, 5), seed=st.integers(0, 9))
def test_every_epoch_has_every_sample_once(count: int, batch_size: int, seed: int) -> None:
    batch_at = batches.from_samples(Numbers(count), batch_size=batch_size, seed=seed)
    steps = range(3 * count)  # whole epochs, whatever the batch size
    seen = torch.cat([batch_at(step)["frames"][:, 0] for step in steps]).tolist()
    for epoch in range(len(seen) // count):
        assert sorted(seen[epoch * count : (epoch + 1) * count]) == list(range(count))
    assert torch.equal(batch_at(1)["frames"], batch_at(1)["frames"])


def test_no_samples_are_refused() -> None:
    with pytest.raises(ValueError, match="samples: found none"):
        batches.from_samples(Numbers(0), batch_size=2, seed=0)


def test_reversed_time_follows_forward_time() -> None:
    batch_at = batches.with_reversed_time(batches.from_samples(Numbers(6), batch_size=2, seed=0))
    assert torch.equal(batch_at(4)["frames"].flip(1), batch_at(5)["frames"])
    assert not torch.equal(batch_at(4)["frames"], batch_at(6)["frames"])


# Metrics


def ssim_by_filters(one: np.ndarray, two: np.ndarray, data_range: float) -> float:
    """SSIM after Wang et al. (2004) in 7x7 windows, with scipy's filter on one channel."""

    def local(values: np.ndarray) -> np.ndarray:
        filtered: np.ndarray = ndimage.uniform_filter(values, 7)[3:-3, 3:-3]
        return filtered

    sample = 49 / 48
    ux, uy = local(one), local(two)
    vx, vy = sample * (local(one * one) - ux * ux), sample * (local(two * two) - uy * uy)
    vxy = sample * (local(one * two) - ux * uy)
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    return float(
        (((2 * ux * uy + c1) * (2 * vxy + c2)) / ((ux**2 + uy**2 + c1) * (vx + vy + c2))).mean()
    )


def test_scores_by_hand() -> None:
    target = torch.zeros(2, 2, 1, 8, 8)
    prediction = target.clone()
    prediction[0, 0, 0, 0, :4] = 0.5  # 4 pixels wrong by a half in one sequence's first frame
    prediction[:, 1] = -0.1  # clipped for PSNR, not for MSE
    scores = metrics.frame_scores(prediction, target)
    assert scores.mse_per_frame.tolist() == pytest.approx([4 * 0.25 / 2, 64 * 0.01])
    assert scores.mae_per_frame.tolist() == pytest.approx([4 * 0.5 / 2, 64 * 0.1])
    assert scores.ssim_per_frame[1].item() == pytest.approx(1.0)
    assert scores.psnr_per_frame.tolist() == [math.inf, math.inf]
    half = metrics.frame_scores(target[:, :1] + 0.5, target[:, :1])
    assert half.psnr_per_frame.tolist() == pytest.approx([20 * math.log10(2)])


@given(seed=st.integers(0, 1000))
def test_ssim_agrees_with_filters(seed: int) -> None:
    one, two = random(2, 3, 9, 12, seed=seed).double(), random(2, 3, 9, 12, seed=seed + 1).double()
    two = 0.5 * (one + two)
    expected = [
        np.mean([ssim_by_filters(x.numpy(), y.numpy(), 1.0) for x, y in zip(a, b, strict=True)])
        for a, b in zip(one, two, strict=True)
    ]
    assert metrics.ssim(one, two, data_range=1.0).tolist() == pytest.approx(expected, rel=1e-9)


def test_scores_of_batches_add_up() -> None:
    prediction, target = random(5, 3, 2, 8, 9), random(5, 3, 2, 8, 9, seed=1)
    whole = metrics.frame_scores(prediction, target)
    parts = metrics.frame_scores(prediction[:2], target[:2]) + metrics.frame_scores(
        prediction[2:], target[2:]
    )
    for name in ("mse_per_frame", "mae_per_frame", "ssim_per_frame", "psnr_per_frame"):
        torch.testing.assert_close(getattr(parts, name), getattr(whole, name))


def test_scores_refuse_by_name() -> None:
    frames = random(1, 1, 1, 8, 8)
    with pytest.raises(ValueError, match=r"found shape \(1, 1, 8, 8\), expected that of"):
        metrics.frame_scores(frames[0], frames)
    with pytest.raises(ValueError, match="not finite"):
        metrics.frame_scores(frames * math.nan, frames)
    with pytest.raises(ValueError, match=r"found \(6, 8\), expected sides of 7"):
        metrics.frame_scores(frames[..., :6, :], frames[..., :6, :])
