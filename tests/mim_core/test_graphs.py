"""Steps replayed from a CUDA graph: on a GPU where there is one, and not at all elsewhere."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import Tensor

from mim_core import graphs
from mim_core.baselines import ConvLSTM
from mim_core.config import MIMConfig
from mim_core.model import MIM
from mim_core.nested import each, tensors_of
from mim_core.recurrent import Recurrent

CONFIG = MIMConfig(in_channels=1, num_hidden=(4, 4), kernel_size=3, layer_norm=True)
DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def frames(batch: int = 2, side: int = 6) -> Tensor:
    return torch.rand(batch, 4, 1, side, 5, generator=torch.Generator().manual_seed(batch))


@torch.no_grad()
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", [MIM, ConvLSTM])
def test_what_is_replayed_is_what_is_computed(kind: type[Recurrent], device: str) -> None:
    torch.manual_seed(0)
    network = kind(CONFIG).to(device).eval()
    given = [frames().to(device), frames(batch=3).to(device), frames(side=7).to(device)]
    plain = [network.forecast(batch, steps=5) for batch in given]
    graphs.replay_steps(network)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2):  # recorded, then replayed alone
            for batch, expected in zip(given, plain, strict=True):
                torch.testing.assert_close(network.forecast(batch, steps=5), expected)
                said = network(batch, total_length=9)[:, 3:]
                torch.testing.assert_close(said, expected)
    for weight in network.parameters():
        weight.mul_(0.5)
    halved = network.forecast(given[0], steps=5)
    network.replay = None
    torch.testing.assert_close(halved, network.forecast(given[0], steps=5))
    assert not torch.allclose(halved, plain[0])


def test_gradients_flow_as_before() -> None:
    torch.manual_seed(0)
    network = MIM(CONFIG)
    graphs.replay_steps(network)
    torch.autograd.backward(network(frames(), total_length=6).sum())
    assert all(weight.grad is not None for weight in network.parameters())


def test_a_graph_is_for_one_shape_and_one_kind_of_state() -> None:
    frame = torch.zeros(1, 2, 3, 4)
    same = [graphs._signature((frame, None)), graphs._signature((frame + 1, None))]
    assert same[0] == same[1]
    others = [(frame[..., 1:], None), (frame.double(), None), (frame, (frame,)), (frame, (None,))]
    assert len({same[0], *map(graphs._signature, others)}) == 5


def test_tensors_of_nested_tuples_come_in_the_order_in_which_each_takes_them() -> None:
    tree = (torch.tensor(1.0), (None, torch.tensor(2.0)), torch.tensor(3.0))
    taken: list[float] = []

    def doubling(part: Tensor) -> Tensor:
        taken.append(float(part))
        return 2 * part

    doubled = each(doubling, tree)
    assert [float(part) for part in tensors_of(tree)] == taken == [1.0, 2.0, 3.0]
    assert doubled[1][0] is None
    assert [float(part) for part in tensors_of(doubled)] == [2.0, 4.0, 6.0]
