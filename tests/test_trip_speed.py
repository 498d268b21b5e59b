"""The sampler in plain Python that trips are timed against draws the same trips."""

import random

import numpy as np
import pytest

from benchmarks import trips
from bilevelrl.core.seeding import Streams
from bilevelrl.models.network_flow.equilibrium import equilibrium
from bilevelrl.models.network_flow.sioux_falls import sioux_falls


def test_the_plain_sampler_has_the_flows_of_the_equilibrium() -> None:
    network = sioux_falls()
    reached = equilibrium(network, np.zeros((1, 76)), np.ones(1))
    drawn = trips.PlainSampler(network, reached.policy[0]).sample(20_000, random.Random(1))
    counts = np.bincount(np.concatenate(drawn), minlength=76) / len(drawn)
    wanted = reached.flow[0] / network.total_demand
    # No link is taken twice by many, so that a count is nearly binomial.
    assert (np.abs(counts - wanted) < 5.0 * np.sqrt(wanted / len(drawn))).all()
    for trip in drawn[:100]:
        assert (network.head[trip[:-1]] == network.tail[trip[1:]]).all()


def test_all_that_is_named_is_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(trips, "NUM_TRIPS", (10, 20))
    monkeypatch.setattr(trips, "REPETITIONS", 1)
    seen = []
    sample = trips.TripSampler.sample

    def counted(self: trips.TripSampler, policy: np.ndarray, streams: Streams) -> object:
        seen.append(self.num_trips)
        return sample(self, policy, streams)

    monkeypatch.setattr(trips.TripSampler, "sample", counted)
    trips.measure()
    names, *rows = (line.split(",") for line in capsys.readouterr().out.splitlines())
    assert [row[0] for row in rows] == ["10", "20"]
    assert seen[-2:] == [10, 20]
    assert len(names) == len(rows[0]) == 6
