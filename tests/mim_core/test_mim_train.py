"""Training: it learns, it resumes to the bit, it stops where it must."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from mim_core import checkpoint, losses, sampling
from mim_core.batches import Batch
from mim_core.config import MIMConfig
from mim_core.model import MIM
from mim_core.settings import OPTIMISERS, Hooks, TrainSettings, tensorboard
from mim_core.train import Loss, TrainingError, fit

CONFIG = MIMConfig(in_channels=1, num_hidden=(4, 4), kernel_size=3, layer_norm=True)
SETTINGS = TrainSettings(
    steps=20,
    learning_rate=3e-3,
    schedule="cosine",
    warm_up_steps=4,
    gradient_clip=1.0,
    ema_decay=0.9,
    checkpoint_every=100,
)
LENGTH, SEEN = 5, 3


def drifting(step: int) -> Batch:
    """A square that moves one column a frame, from a place that depends on the step."""
    generator = sampling.generator_at(7, step)
    frames = torch.zeros(4, LENGTH, 1, 8, 8)
    for sequence in frames:
        row, column = torch.randint(0, 6, (2,), generator=generator).tolist()
        for t, frame in enumerate(sequence):
            frame[0, row : row + 2] = 0.0
            frame[0, row : row + 2, (column + t) % 8] = 1.0
    flags = sampling.draw_flags(
        sampling.scheduled(step, input_length=SEEN, total_length=LENGTH, end=20),
        shape=(4, 1, 8, 8),
        generator=generator,
    )
    return {"frames": frames, "true_frame_flag": flags}


def squared_error(network: nn.Module, batch: Batch) -> Tensor:
    predicted = network(
        batch["frames"],
        total_length=LENGTH,
        input_length=SEEN,
        true_frame_flag=batch["true_frame_flag"],
    )
    return losses.mean_squared_error(predicted, batch["frames"][:, 1:])


def network() -> MIM:
    torch.manual_seed(3)
    return MIM(CONFIG)


def noisy_error(network: nn.Module, batch: Batch) -> Tensor:
    """A loss that draws global random numbers, as dropout would."""
    frames = batch["frames"]
    return squared_error(network, {**batch, "frames": frames + 0.1 * torch.randn_like(frames)})


def recorded(
    out: Path, settings: TrainSettings, *, loss: Loss = squared_error, stop_at: int | None = None
) -> tuple[dict[int, float], dict[str, Tensor], MIM]:
    curve: dict[int, float] = {}
    model = network()
    trained = fit(
        model,
        drifting,
        loss=loss,
        settings=settings,
        out=out,
        hooks=Hooks(progress=curve.__setitem__, stop=lambda step: step == stop_at),
    )
    return curve, model.state_dict(), trained.model


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_twenty_steps_are_ten_and_ten_to_the_bit(tmp_path: Path, optimiser: str) -> None:
    settings = replace(SETTINGS, optimiser=optimiser)
    whole, weights, average = recorded(tmp_path / "whole", settings, loss=noisy_error)
    first, _, _ = recorded(tmp_path / "halves", settings, loss=noisy_error, stop_at=10)
    second, weights_again, average_again = recorded(tmp_path / "halves", settings, loss=noisy_error)
    assert sorted(first) == list(range(1, 11))
    assert {**first, **second} == whole
    for name, values in weights.items():
        assert torch.equal(values, weights_again[name]), name
    for name, values in average.state_dict().items():
        assert torch.equal(values, average_again.state_dict()[name]), name


def test_the_loop_does_what_a_plain_loop_does(tmp_path: Path) -> None:
    settings = replace(SETTINGS, steps=5, gradient_clip=0.05)
    curve, weights, average = recorded(tmp_path, settings)
    model = network()
    kept = [weight.detach().clone() for weight in model.parameters()]
    optimiser = torch.optim.Adam(model.parameters())
    for step in range(5):
        optimiser.param_groups[0]["lr"] = settings.learning_rate_at(step)
        optimiser.zero_grad()
        loss = squared_error(model, drifting(step))
        torch.autograd.backward(loss)
        assert torch.nn.utils.clip_grad_norm_(model.parameters(), 0.05) > 0.05
        optimiser.step()
        assert curve[step + 1] == loss.item()
        decay = min(0.9, (step + 1) / (step + 11))
        for old, new in zip(kept, model.parameters(), strict=True):
            old.copy_(decay * old + (1 - decay) * new.detach())
    for name, weight in model.named_parameters():
        assert torch.equal(weights[name], weight), name
    for old, weight in zip(kept, average.parameters(), strict=True):
        torch.testing.assert_close(weight, old)


def test_it_learns(tmp_path: Path) -> None:
    settings = replace(SETTINGS, steps=60, learning_rate=1e-2, ema_decay=0.0)
    curve, _, _ = recorded(tmp_path, settings)
    assert sum(curve[step] for step in range(51, 61)) < 0.7 * sum(curve[s] for s in range(1, 11))


def test_other_settings_or_another_network_are_not_resumed(tmp_path: Path) -> None:
    recorded(tmp_path, SETTINGS, stop_at=1)
    with pytest.raises(ValueError, match=r"learning_rate found 0\.003, expected 0\.1 to resume"):
        recorded(tmp_path, replace(SETTINGS, learning_rate=0.1))
    other = MIM(replace(CONFIG, layer_norm=False))
    with pytest.raises(ValueError, match=r"config found .* expected .* to resume"):
        fit(other, drifting, loss=squared_error, settings=SETTINGS, out=tmp_path)


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_state(tmp_path: Path) -> None:
    def poisoned(step: int) -> Batch:
        batch = dict(drifting(step))
        return batch if step != 5 else {**batch, "frames": batch["frames"] * float("nan")}

    model = network()
    settings = replace(SETTINGS, checkpoint_every=3)
    with pytest.raises(TrainingError, match=r"step 6: loss is nan, .* as after step 5; .* holds"):
        fit(model, poisoned, loss=squared_error, settings=settings, out=tmp_path)
    assert all(torch.isfinite(weight).all() for weight in model.parameters())
    _, header = checkpoint.read_tensors(tmp_path / "training.safetensors")
    assert header["step"] == 3


def test_validation_keeps_the_best_average_and_stops_early(tmp_path: Path) -> None:
    scores = iter([3.0, 1.0, 2.0, 2.5, 0.0])
    seen: list[tuple[int, float]] = []
    averages: list[Tensor] = []

    def validate(model: MIM) -> float:
        assert not model.training
        averages.append(model.output.weight.clone())
        return next(scores)

    trained = fit(
        network(),
        drifting,
        loss=squared_error,
        settings=replace(SETTINGS, validate_every=2, patience=2),
        out=tmp_path,
        hooks=Hooks(validate=validate, validated=lambda step, score: seen.append((step, score))),
    )
    assert seen == [(2, 3.0), (4, 1.0), (6, 2.0), (8, 2.5)]
    assert (trained.step, trained.best_score) == (8, 1.0)
    assert torch.equal(trained.model.output.weight, averages[1])
    again = fit(
        network(),
        drifting,
        loss=squared_error,
        settings=replace(SETTINGS, validate_every=2, patience=2),
        out=tmp_path,
        hooks=Hooks(validate=validate),
    )
    assert again.step == 8


def test_bf16_follows_fp32_and_keeps_fp32_weights(tmp_path: Path) -> None:
    exact, _, _ = recorded(tmp_path / "exact", SETTINGS)
    rounded, weights, _ = recorded(tmp_path / "rounded", replace(SETTINGS, precision="bf16-mixed"))
    assert rounded != exact
    assert sum(rounded.values()) == pytest.approx(sum(exact.values()), rel=0.05)
    assert {values.dtype for values in weights.values()} == {torch.float32}


def test_learning_rate_warms_up_and_falls_to_its_end() -> None:
    settings = TrainSettings(
        steps=104, learning_rate=1.0, schedule="cosine", warm_up_steps=4, final_fraction=0.1
    )
    assert [settings.learning_rate_at(step) for step in range(4)] == [0.25, 0.5, 0.75, 1.0]
    assert settings.learning_rate_at(4) == 1.0
    assert settings.learning_rate_at(54) == pytest.approx(0.55)
    assert settings.learning_rate_at(104) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("steps", 0, "steps: found 0, expected 1 or more"),
        ("learning_rate", float("nan"), "learning_rate: found nan"),
        ("gradient_clip", 0.0, "gradient_clip: found 0.0"),
        ("ema_decay", 1.0, "ema_decay: found 1.0"),
        ("precision", "fp8", "precision: found 'fp8'"),
        ("patience", 0, "patience: found 0"),
    ],
)
def test_settings_refuse_by_name(field: str, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(SETTINGS, **{field: value})  # type: ignore[arg-type]


def test_tensorboard_gets_the_curve(tmp_path: Path) -> None:
    event_file = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    write = tensorboard(tmp_path)
    for step, value in ((1, 0.5), (2, 0.25)):
        write(step, value)
    events = event_file.EventAccumulator(str(tmp_path)).Reload().Scalars("loss")
    assert [(event.step, event.value) for event in events] == [(1, 0.5), (2, 0.25)]


def test_two_processes_have_the_curve_of_one(tmp_path: Path) -> None:
    script = tmp_path / "shared_training.py"
    script.write_text(
        textwrap.dedent(f"""
            import json, sys
            from pathlib import Path
            sys.path.insert(0, {str(Path(__file__).parent)!r})
            import test_mim_train as tests
            from dataclasses import replace
            def shared_error(network, batch):
                assert len(batch["frames"]) == len(batch["true_frame_flag"]) == 2
                return tests.squared_error(network, batch)
            settings = replace(tests.SETTINGS, steps=6, devices=2, strategy="ddp")
            out = Path({str(tmp_path)!r}, "two")
            curve, _, _ = tests.recorded(out, settings, loss=shared_error)
            if curve:
                Path({str(tmp_path)!r}, "curve.json").write_text(json.dumps(curve))
        """)
    )
    subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc-per-node", "2", str(script)),
        ],
        check=True,
        capture_output=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=120,
    )
    two = {
        int(step): loss for step, loss in json.loads((tmp_path / "curve.json").read_text()).items()
    }
    one, _, _ = recorded(tmp_path / "one", replace(SETTINGS, steps=6))
    assert two == pytest.approx(one, rel=1e-4)
