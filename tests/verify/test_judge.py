"""The sums of the project's external judge, recomputed from its published rules alone.

A pixel counts at a lead when it is in the given set. An event is rate >= threshold less 0.001 %.
Yes or no follows probability >= decision where a decision is fixed. All sums are pooled, ratios
come last. The FSS takes events on counted pixels, fractions over the counted part of each window
(zero beyond the edge), and windows round a counted pixel with more than half of their cells
counted. The error in dB puts all below 0.1 mm/h at -15 dB. Nothing is shared with the package.
"""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy.ndimage import gaussian_filter, uniform_filter

from nowcast.verify.scoring import verify_forecast
from nowcast.verify.tally import total

THRESHOLDS = (0.1, 0.5, 1.0, 5.0, 10.0)
LEADS, SHAPE, MEMBERS = 4, (50, 44), 20


def weather(seed, count):
    """Rain in steps of 0.01 mm/h, dry in the most part, some of it on the thresholds."""
    rng = np.random.default_rng(seed)
    noise = gaussian_filter(rng.standard_normal((count, *SHAPE)), (1, 4, 4))
    rain = np.maximum(noise / noise.std() - 0.2, 0) ** 2 * 6
    return (np.round(rain * 100) / 100).astype(np.float32)


def is_event(rate, threshold):
    return rate >= threshold * (1 - 1e-5)


def in_db(rate):
    out = np.full(rate.shape, -15.0)
    out[rate >= 0.1] = 10 * np.log10(rate[rate >= 0.1])
    return out


class Judge:
    """Dictionary of sums per lead, filled pixel set by pixel set."""

    def __init__(self):
        self.sums = {}

    def add(self, name, lead, value):
        self.sums.setdefault(name, np.zeros(LEADS))[lead] += value

    def field(self, lead, said, rate, truth, counts):
        f, o = rate[counts].astype(float), truth[counts].astype(float)
        self.add("n", lead, counts.sum())
        self.add("absolute", lead, abs(f - o).sum())
        self.add("squared_db", lead, ((in_db(rate[counts]) - in_db(truth[counts])) ** 2).sum())
        self.add("forecast", lead, f.sum())
        self.add("observed", lead, o.sum())
        for t in THRESHOLDS:
            yes, true = said[t] & counts, is_event(truth, t) & counts
            self.add(f"hits {t}", lead, (yes & true).sum())
            self.add(f"misses {t}", lead, (~yes & true).sum())
            self.add(f"false {t}", lead, (yes & ~true).sum())
            for size in (9, 17):
                part = uniform_filter(counts.astype(float), size, mode="constant")
                use = counts & (part > 0.5)
                pf, po = (
                    uniform_filter(e.astype(float), size, mode="constant")[use] / part[use]
                    for e in (yes, true)
                )
                self.add(f"fss above {t} {size}", lead, ((pf - po) ** 2).sum())
                self.add(f"fss below {t} {size}", lead, (pf**2 + po**2).sum())

    def chance(self, lead, t, p, true):
        self.add(f"brier {t}", lead, ((p - true) ** 2).sum())
        for k in range(1, 20):
            yes = p >= k / 20 - 1e-6
            self.add(f"cut hits {t} {k}", lead, (yes & true).sum())
            self.add(f"cut wrong {t} {k}", lead, (yes != true).sum())

    def ensemble(self, lead, members, truth):
        m = len(members)
        x = members.astype(float)
        error = np.abs(x - truth).mean(axis=0)
        pairs = sum(np.abs(x[a] - x[b]) for a in range(m) for b in range(a))
        self.add("crps", lead, (error - pairs / m**2).sum())
        self.add("fair crps", lead, (error - pairs / (m * (m - 1))).sum())


def judged(cases, *, with_members, with_chances):
    judge = Judge()
    for case in cases:
        for lead in range(LEADS):
            rate, truth, counts = (case[name][lead] for name in ("rate", "truth", "counts"))
            said = {t: is_event(rate, t) for t in THRESHOLDS}
            if with_chances:
                said |= {t: case["chance"][t][lead] >= case["cut"][t][lead] for t in case["cut"]}
            judge.field(lead, said, rate, truth, counts)
            members = case["members"][:, lead][:, counts]
            if with_members:
                judge.ensemble(lead, members, truth[counts].astype(float))
            for t in THRESHOLDS:
                true = is_event(truth[counts], t)
                if with_chances and t in case["chance"]:
                    judge.chance(lead, t, case["chance"][t][lead][counts], true)
                elif with_members:
                    judge.chance(lead, t, is_event(members, t).mean(axis=0), true)
                else:
                    judge.chance(lead, t, said[t][counts].astype(float), true)
                if with_members and not (with_chances and t in case["chance"]):
                    p = is_event(members, t).mean(axis=0)
                    fair = (p - true) ** 2 - p * (1 - p) / (MEMBERS - 1)
                    judge.add(f"fair brier {t}", lead, fair.sum())
    return judge.sums


@pytest.fixture(scope="module")
def cases():
    """Two issue times: everything that a method may put into its file, and which pixels count."""
    rng = np.random.default_rng(0)
    cut = {t: rng.choice([0.3, 0.35, 0.5], LEADS).astype(np.float32) for t in (0.1, 1.0, 10.0)}
    found = []
    for seed in (1, 2):
        truth, rate = (
            weather(seed, LEADS),
            weather(seed + 10, LEADS) * 0.5 + weather(seed, LEADS) / 2,
        )
        members = np.stack(
            [np.maximum(rate + weather(seed + k, LEADS) - 1, 0) for k in range(20, 40)]
        )
        chance = {t: is_event(members, t).mean(axis=0).astype(np.float32) for t in cut}
        counts = gaussian_filter(rng.standard_normal((LEADS, *SHAPE)), (1, 5, 5)) > -0.03
        found.append({
            "rate": rate, "truth": truth, "counts": counts, "members": members, "chance": chance,
            "cut": cut,
        })  # fmt: skip
    return found


@pytest.mark.parametrize(
    ("with_members", "with_chances"), [(False, False), (True, False), (False, True), (True, True)]
)
def test_the_judges_sums(cases, forecast_of, observed_frames, with_members, with_chances):
    tallies = []
    for k, case in enumerate(cases):
        issued = np.datetime64("2024-05-01T12:00", "ns") + k * np.timedelta64(20, "m")
        forecast = forecast_of(
            case["rate"],
            issued=issued,
            members=case["members"] if with_members else None,
            probability=case["chance"] if with_chances else None,
            decision=np.stack(list(case["cut"].values())) if with_chances else None,
        )
        # What does not count is observed all the same: the set decides.
        observed = observed_frames(case["truth"], issued=issued)
        counted = xr.DataArray(case["counts"], dims=("lead_time", "y", "x"))
        tallies.append(
            verify_forecast(forecast, observed, thresholds_mm_h=THRESHOLDS, counted=counted)
        )
    tally, judge = (
        total(tallies),
        judged(cases, with_members=with_members, with_chances=with_chances),
    )
    assert judge["hits 5.0"].min() > 0
    found = {
        name: getattr(tally.errors, name) for name in ("n", "absolute", "forecast", "observed")
    }
    found["squared_db"] = tally.errors.squared_db
    for j, t in enumerate(THRESHOLDS):
        found[f"hits {t}"] = tally.contingency.hits[:, j]
        found[f"misses {t}"] = tally.contingency.misses[:, j]
        found[f"false {t}"] = tally.contingency.false_alarms[:, j]
        found[f"brier {t}"] = tally.brier.squared[:, j]
        if f"fair brier {t}" in judge:
            found[f"fair brier {t}"] = tally.brier.fair[:, j]
        for i, size in enumerate((9, 17)):
            found[f"fss above {t} {size}"] = tally.fractions.squared_difference[:, j, i]
            found[f"fss below {t} {size}"] = tally.fractions.reference[:, j, i]
        bins = tally.probabilities
        for k in range(1, 20):
            found[f"cut hits {t} {k}"] = bins.hits[:, j, k]
            wrong = bins.hits[:, j, 0] - bins.hits[:, j, k] + bins.false_alarms[:, j, k]
            found[f"cut wrong {t} {k}"] = wrong
    if with_members:
        found |= {"crps": tally.crps.crps, "fair crps": tally.crps.fair_crps}
    assert found.keys() == judge.keys()
    for name, expected in judge.items():
        assert found[name] == pytest.approx(expected, rel=1e-6, abs=1e-9), name
