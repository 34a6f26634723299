"""nowcast benchmark, data set by data set at small size: files to weights to tables and films."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from PIL import Image
from small_benchmark import losses_of, written
from typer.testing import CliRunner

from benchmarks import layouts
from config import benchmark as profiles
from mim_core import checkpoint
from mim_core.baselines import ConvLSTM
from mim_core.model import MIM
from nowcast import build_benchmark as build
from nowcast.benchmark.training import Run, train
from nowcast.cli.app import app
from nowcast.cli.benchmark import group
from nowcast.field.errors import FormatError, NowcastError, UsageError, WeightsError
from nowcast.forecast import shipped


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def ran(*words: object) -> dict[str, object]:
    result = CliRunner().invoke(app, ["benchmark", *map(str, words), "--json"])
    assert result.exit_code == 0, f"{result.output}\n{result.exception!r}"
    answer: dict[str, object] = json.loads(result.stdout)
    return answer


def trained_and_evaluated(
    profile: Path, *, data: Path, out: Path, sequences: int = 4
) -> dict[str, object]:
    """Both networks trained and scored together; what evaluate says."""
    files = []
    for network in ("mim", "conv-lstm"):
        ran("train", profile, "--data", data, "--out", out / network, "--network", network)
        files += ["--weights", out / network / "weights.safetensors"]
    return ran(
        *("evaluate", profile, *files, "--data", data, "--out", out / "scores"),
        *("--sequences", sequences, "--films", 1),
    )


def check(answer: dict[str, object], *, leads: int, rivals: tuple[str, ...] = ()) -> None:
    """Every method has every score at every lead, and the last frame's are as they must be."""
    methods = ["last frame", *rivals, "MIM, mim", "ConvLSTM, conv-lstm"]
    means = answer["means"]
    assert isinstance(means, list)
    assert [row["method"] for row in means] == methods
    by_lead = answer["by_lead"]
    assert isinstance(by_lead, list)
    for method in methods:
        for score in ("mse", "mae", "ssim"):
            values = [
                row["value"] for row in by_lead if (row["method"], row["score"]) == (method, score)
            ]
            assert len(values) == leads
            assert all(np.isfinite(values))
    names = answer["written"]
    assert isinstance(names, list)
    assert names[0].endswith("scores.csv")
    assert len(names) == 1 + len(methods)
    for name in names[1:]:
        with Image.open(name) as film:
            assert film.n_frames == leads  # type: ignore[attr-defined]


def last_frame_mse(answer: dict[str, object]) -> float:
    rows = answer["means"]
    assert isinstance(rows, list)
    return float(rows[0]["mse"])


def test_colour_mnist(shared_data: Path, tmp_path: Path) -> None:
    data = 'kind = "colour-mnist"\nsize = 32\ntest_sequences = 4\n'
    profile = written(tmp_path, data=data, training='sampling = "reverse"\nreversed_time = true')
    answer = trained_and_evaluated(profile, data=shared_data, out=tmp_path)
    check(answer, leads=4)
    task = build.task("small", profiles.BENCHMARKS.named(str(profile)), data=shared_data)
    frames = torch.stack([task.test[index]["frames"] for index in range(4)])
    kept = (frames[:, 4:] - frames[:, 3:4]).square().sum(dim=(2, 3, 4)).mean()
    assert last_frame_mse(answer) == pytest.approx(kept.item(), rel=1e-5)


def test_walking_frames_in_the_layout_of_human36m(shared_data: Path, tmp_path: Path) -> None:
    with np.load(next((shared_data / "video/walking_vtest").glob("*.npz"))) as content:
        layouts.walking(content["frames"], tmp_path / "human36m")
    data = 'kind = "human36m"\nfolder = "human36m"\nsize = 32\ntest_stride = 8\n'
    profile = written(tmp_path, data=data)
    check(trained_and_evaluated(profile, data=tmp_path, out=tmp_path), leads=4)


def test_the_reader_of_human36m_gives_the_walking_frames_back(
    shared_data: Path, tmp_path: Path
) -> None:
    with np.load(next((shared_data / "video/walking_vtest").glob("*.npz"))) as content:
        frames = content["frames"]
    layouts.walking(frames, tmp_path / "human36m")
    task = build.task("walking", build.profile("walking"), data=tmp_path)
    shown = task.test[3]["frames"].permute(0, 2, 3, 1).numpy()  # (T, H, W, C)
    assert np.abs(shown - frames[123:139:2] / 255).mean() < 0.01  # JPEG
    assert task.validation is not None
    assert (len(task.train), len(task.validation), len(task.test)) == (82, 10, 26)


def test_a_file_of_taxibj_made_from_the_grid_of_new_york(shared_data: Path, tmp_path: Path) -> None:
    with np.load(shared_data / "traffic/nyc_taxi_bike/data/volume_test.npz") as content:
        volume = content["volume"]
    # Two files that follow each other, the second one short of a slot of its third day.
    layouts.taxi(volume[: 10 * 48], tmp_path / "BJ15.h5")
    layouts.taxi(volume[10 * 48 :], tmp_path / "BJ16.h5", first_day="2015-02-20", skip=2 * 48 + 7)
    data = 'kind = "traffic"\nfiles = ["BJ16.h5", "BJ15.h5"]\nvalidation_days = 1\ntest_days = 3\n'
    profile = written(tmp_path, data=data, training="validations = 1", published="taxibj")
    answer = trained_and_evaluated(profile, data=tmp_path, out=tmp_path)
    check(answer, leads=4, rivals=("same time, earlier days",))
    published = answer["published"]
    assert isinstance(published, list)
    assert 0.3110 in [row["mse"] for row in published]
    task = build.task("small", profiles.BENCHMARKS.named(str(profile)), data=tmp_path)
    assert task.about["most"] == volume[: 16 * 48].max()
    # Of twenty days one is incomplete; the windows of fifteen days in two runs can be learnt from.
    assert len(task.test) == 3 * 48
    assert len(task.train) == 15 * 48 - 7 - 7


def test_the_grid_of_new_york_as_it_comes(shared_data: Path) -> None:
    chosen = build.profile("nyc-taxi")
    task = build.task("nyc-taxi", chosen, data=shared_data)
    methods = build.forecasters(task, [])
    scored = build.scored(task, methods, sequences=500, batch_size=64, heard=lambda: None)
    kept = scored["last frame"].frames
    assert kept.sequences == 4 * 48
    assert kept.mse_per_frame.diff().min() > 0  # the later, the worse
    assert scored["same time, earlier days"].frames.mse_per_frame[3] < kept.mse_per_frame[3]


def test_radar(shared_data: Path, tmp_path: Path) -> None:
    data = (
        'kind = "radar"\nfeed = "mch"\narchive = "radar/mch/20150515"\nsize = 32\n'
        "test_sequences = 4\nvalidation_share = 0.0\nthresholds_dbz = [20]\n"
    )
    profile = written(tmp_path, data=data)
    answer = trained_and_evaluated(profile, data=shared_data, out=tmp_path)
    check(answer, leads=4)
    means = answer["means"]
    assert isinstance(means, list)
    assert 0 < means[0]["csi 20 dBZ"] < 1


def test_training_goes_on_where_it_was_stopped(shared_data: Path, tmp_path: Path) -> None:
    data = 'kind = "moving-mnist"\nsize = 32\ntest_sequences = 4\n'
    training = 'schedule = "cosine"\nema_decay = 0.9\nwarm_up_share = 0.1'
    chosen = profiles.BENCHMARKS.named(str(written(tmp_path, data=data, training=training)))
    task = build.task("small", chosen, data=shared_data)
    recipe = build.recipe(chosen, minutes=None, steps=20, seed=None)

    def run(out: Path, *, stop_at: int = 0) -> None:
        def heard(step: int, plan: int, loss: float) -> None:
            assert 0 < step <= plan == 20
            assert loss > 0
            if step == stop_at:
                raise KeyboardInterrupt

        network = build.network(chosen, task, kind="mim", seed=0)
        build.trained(task, network, recipe=recipe, out=out, heard=heard)

    run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "parts", stop_at=7)
    assert len(losses_of(tmp_path / "parts")) == 7
    run(tmp_path / "parts")  # from the state of step 6
    assert losses_of(tmp_path / "parts") == losses_of(tmp_path / "whole")
    one, two = (
        checkpoint.load_network(tmp_path / name / "weights.safetensors")[0].state_dict()
        for name in ("whole", "parts")
    )
    assert all(torch.equal(values, two[name]) for name, values in one.items())


@dataclass
class Ticking:
    """A clock on which time goes on when it is looked at, at another pace from some moment on."""

    pace: float
    later: float
    moment: float = 2.0
    now: float = 0.0

    def __call__(self) -> float:
        self.now += self.pace if self.now < self.moment else self.later
        return self.now


@pytest.mark.parametrize("paces", [(0.1, 0.1), (0.1, 0.3), (0.5, 0.05)])
def test_training_by_the_minute_spends_the_minute_at_any_pace(
    paces: tuple[float, float], shared_data: Path, tmp_path: Path
) -> None:
    data = 'kind = "moving-mnist"\nsize = 32\ntest_sequences = 4\n'
    path = written(tmp_path, data=data, training='schedule = "cosine"')
    chosen = profiles.BENCHMARKS.named(str(path))
    task = build.task("small", chosen, data=shared_data)
    recipe = build.recipe(chosen, minutes=0.1, steps=None, seed=None)
    network = build.network(chosen, task, kind="mim", seed=0)
    clock = Ticking(*paces)
    train(Run(task, network, recipe, tmp_path, clock=clock), about={})
    records = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    steps = [step for step, _ in losses_of(tmp_path)]
    assert steps == list(range(1, len(steps) + 1))
    plans = [record["plan"] for record in records if "plan" in record]
    assert len(plans) > 3  # it was looked at again and again
    assert plans[-1] == steps[-1]
    assert records[-1]["seconds"] == pytest.approx(6, rel=0.25)


def test_two_runs_of_as_many_steps_are_the_same(shared_data: Path, tmp_path: Path) -> None:
    data = 'kind = "moving-mnist"\nsize = 32\ntest_sequences = 2\n'
    profile = written(tmp_path, data=data)
    for name in ("one", "two"):
        ran("train", profile, "--data", shared_data, "--out", tmp_path / name)
    one, two = (
        checkpoint.load_network(tmp_path / name / "weights.safetensors")[0].state_dict()
        for name in ("one", "two")
    )
    assert all(torch.equal(values, two[name]) for name, values in one.items())


def test_every_example_runs(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    commands = typer.main.get_command(group).commands  # type: ignore[attr-defined]
    for name in ("list", "train", "evaluate", "curves"):
        lines = re.findall(r"^ *(nowcast .+)$", commands[name].callback.__doc__, re.MULTILINE)
        assert lines, f"{name} has no example in its help"
        for line in lines:
            words = shlex.split(line.replace("DATA", str(shared_data)))[1:]
            result = CliRunner().invoke(app, words)
            assert result.exit_code == 0, f"{line}\n{result.output}\n{result.exception!r}"
            assert result.stdout.strip(), f"{line} reports nothing"
    assert set(commands) == {"list", "train", "evaluate", "curves"}
    with Image.open("runs/curves.png") as picture:
        assert picture.width > 300


# What ships


def test_every_profile_that_ships_can_be_built() -> None:
    for name, profile in build.benchmarks().items():
        assert profile.about, name
        full = name.endswith(("-full", "-wide"))
        assert (profile.training.steps == 80_000) == full, name
        assert ("Unmeasured without a GPU" in profile.about) == full, name


@pytest.fixture(scope="module")
def benchmark_data(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder as the profiles expect it, with walking frames in Human3.6M's layout."""
    folder = tmp_path_factory.mktemp("data")
    for name in ("traffic", "radar", "digits"):
        (folder / name).symlink_to((shared_data / name).absolute())
    with np.load(next((shared_data / "video/walking_vtest").glob("*.npz"))) as content:
        layouts.walking(content["frames"], folder / "human36m")
    with np.load(folder / "traffic/nyc_taxi_bike/data/volume_test.npz") as content:
        layouts.taxi(content["volume"], folder / "TaxiBJ/BJ15_M32x32_T30_InOut.h5")
    return folder


# human36m and taxibj are the authors' own data.
MEASURED_HERE = ("moving-mnist", "moving-mnist-plain", "colour-mnist", "nyc-taxi", "taxibj-layout")


@pytest.mark.parametrize("name", [*MEASURED_HERE, "walking", "radar"])
def test_profiles_that_are_measured_here_find_their_sequences(
    benchmark_data: Path, name: str
) -> None:
    chosen = build.profile(name)
    task = build.task(name, chosen, data=benchmark_data)
    build.network(chosen, task, kind="mim", seed=0)
    for samples in (task.train, task.validation, task.test):
        if samples is not None:
            frames = samples[0]["frames"]
            assert frames.shape[:2] == (chosen.total_length, task.channels)


@pytest.mark.parametrize("name", shipped.shipped_benchmarks())
def test_weights_that_ship_are_small_have_a_card_and_beat_the_last_frame(
    benchmark_data: Path, name: str
) -> None:
    path = shipped.shipped_weights(f"benchmarks/{name}")
    assert path.stat().st_size <= 4e6
    card = path.with_suffix(".md").read_text()
    assert card.startswith(f"# Model card: {name}.safetensors")
    words = ["benchmark", "evaluate", name, "--weights", "shipped", "--data", str(benchmark_data)]
    result = CliRunner().invoke(app, [*words, "--sequences", "16", "--json"])
    assert result.exit_code == 0, result.output
    means = {row["method"]: row["mse"] for row in json.loads(result.stdout)["means"]}
    assert means["MIM"] < 0.95 * means["last frame"]


def test_where_no_weights_ship_it_is_said_where_some_do(shared_data: Path) -> None:
    chosen = build.profile("moving-mnist-plain")
    task = build.task("moving-mnist-plain", chosen, data=shared_data)
    with pytest.raises(UsageError, match=r"none are shipped for moving-mnist-plain.*nyc-taxi"):
        build.forecasters(task, [Path("shipped")])


def test_the_weights_of_small_profiles_may_ship() -> None:
    for name, profile in build.benchmarks().items():
        if profile.training.minutes is not None:
            config = build.configuration(profile.network, channels=3, grid=(16, 16))
            size = sum(weight.numel() for weight in MIM(config).parameters())
            assert 2 * size <= 4e6, f"{name}: {2 * size / 1e6:.1f} MB in fp16"


def test_the_plain_recipe_trains_the_network_of_the_other_one() -> None:
    ours, plain = build.profile("moving-mnist"), build.profile("moving-mnist-plain")
    assert ours.network == plain.network
    assert ours.data == plain.data
    assert (plain.training.learning_rate, plain.training.precision) == (1e-3, "32-true")
    assert (plain.training.sampling, plain.training.counted) == ("scheduled", "all")
    assert ours.training.minutes == plain.training.minutes == 60


def test_the_rows_of_the_paper_are_there_with_their_doubts() -> None:
    rows = {(row.method, row.source): row for row in profiles.published("moving-mnist")}
    assert rows["MIM*", "Wang et al. 2019"].mse == 44.2
    assert rows["MIM", "Wang et al. 2019"].known == "from memory"
    assert rows["MIM, 200 epochs", "OpenSTL"].psnr == 23.56


# What is refused


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ('kind = "moving-mnist"\ndigits = "none.gz"', UsageError, "none.gz: no such file; --data"),
        ('kind = "moving-mnist"\ndigits = "text"', FormatError, "text: 5 bytes, expected an idx"),
        ('kind = "traffic"\nfiles = ["text"]', FormatError, "expected gridded traffic"),
        ('kind = "human36m"\nfolder = "none"', FormatError, "no such folder of Human3.6M"),
        ('kind = "digits"', UsageError, "data"),
        ('kind = "moving-mnist"\nsizes = 3', UsageError, "sizes: unknown key"),
    ],
)
def test_data_that_are_not_there_are_refused(
    data: str, error: type[NowcastError], message: str, tmp_path: Path
) -> None:
    (tmp_path / "text").write_text("hello")
    path = written(tmp_path, data=data)
    with pytest.raises(error, match=message):
        build.task("small", build.profile(str(path)), data=tmp_path)


def test_unknown_names_are_answered_with_near_ones() -> None:
    with pytest.raises(UsageError, match=r"'moving-mnst'\. Did you mean moving-mnist"):
        build.profile("moving-mnst")
    with pytest.raises(UsageError, match="give one of them"):
        build.recipe(build.profile("radar"), minutes=1.0, steps=1, seed=None)


def test_weights_of_another_task_are_refused(shared_data: Path, tmp_path: Path) -> None:
    data = 'kind = "moving-mnist"\nsize = 32\n'
    chosen = profiles.BENCHMARKS.named(str(written(tmp_path, data=data)))
    task = build.task("small", chosen, data=shared_data)
    network = build.network(chosen, task, kind="conv-lstm", seed=0)
    assert isinstance(network, ConvLSTM)
    path = tmp_path / "weights.safetensors"
    checkpoint.save(path, network, metadata={})
    colour = build.task("colour-mnist", build.profile("colour-mnist"), data=shared_data)
    with pytest.raises(WeightsError, match="a network for 1 channels, expected 3, those of colour"):
        build.weights(path, colour)
    with pytest.raises(UsageError, match="--network tcn: expected one of mim, conv-lstm"):
        build.network(chosen, task, kind="tcn", seed=0)
