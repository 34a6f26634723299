from __future__ import annotations

import pytest
import torch

from mim_core.datasets.windows import Windows

SERIES = torch.arange(10.0).reshape(10, 1, 1, 1).expand(10, 2, 3, 4)


def starts(windows: Windows) -> list[int]:
    return [int(windows[index]["frames"][0, 0, 0, 0]) for index in range(len(windows))]


def test_windows_by_hand() -> None:
    assert starts(Windows(SERIES, length=4)) == [0, 1, 2, 3, 4, 5, 6]
    assert starts(Windows(SERIES, length=4, stride=3)) == [0, 3, 6]
    assert Windows(SERIES, length=4)[2]["frames"][:, 1, 0, 0].tolist() == [2, 3, 4, 5]


def test_no_window_reaches_over_a_gap() -> None:
    # Frame 4 does not follow frame 3: windows end at 3 or begin at 4.
    assert starts(Windows(SERIES, length=3, gaps=(4,))) == [0, 1, 4, 5, 6, 7]


def test_unseen_is_masked() -> None:
    series = SERIES.clone()
    series[1, 0, 2, 3] = torch.nan
    item = Windows(series, length=2)[0]
    assert item["mask"].sum() == item["mask"].numel() - 1
    assert item["frames"][1, 0, 2, 3] == 0


def test_what_has_no_window_is_refused() -> None:
    with pytest.raises(ValueError, match="expected \\(T, C, H, W\\)"):
        Windows(SERIES[0], length=2)
    with pytest.raises(ValueError, match="no 11 frames in a row among 10"):
        Windows(SERIES, length=11)
    with pytest.raises(ValueError, match="length 1"):
        Windows(SERIES, length=1)
