"""What an estimate misses where houses do not play their best response, see `core.error_parts`."""

from dataclasses import dataclass, replace

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.error_parts import error_parts
from bilevelrl.core.estimator import Estimate, Estimator, Memory
from bilevelrl.core.seeding import Streams
from bilevelrl.problems.home_battery.game import BatteryGame
from bilevelrl.problems.home_battery.planner import HouseholdResponse


@dataclass(frozen=True, eq=False)
class SplitEstimator:
    """Implements `core.estimator.Estimator`: another one, with its errors where they are recorded.

    Measuring has random numbers of its own and changes nothing of what is estimated.

    Attributes:
        estimator: of the hypergradient.
        game: whose houses it watches.
        replicates: K.
        interval: updates from one measurement to the next; the last of each such window has one.
    """

    estimator: Estimator[HouseholdResponse]
    game: BatteryGame
    replicates: int
    interval: int

    def start(self, streams: Streams) -> Memory:
        """That of the estimator, and how many estimates there were."""
        return self.estimator.start(streams) | {"estimates": np.zeros(len(streams.seeds), np.int64)}

    def estimate(
        self, theta: Floats, response: HouseholdResponse, memory: Memory, streams: Streams
    ) -> Estimate:
        """The estimator's, and `error_parts` of it once in an interval."""
        update = int(memory["estimates"][0])
        memory["estimates"] += 1
        if (update + 1) % self.interval:
            return self.estimator.estimate(theta, response, memory, streams)
        before = {name: values.copy() for name, values in memory.items()}
        own = self.estimator.estimate(theta, response, memory, streams)
        others = [
            self.estimator.estimate(
                theta, response, {name: values.copy() for name, values in before.items()},
                Streams([_seed(seed, update, place) for seed in streams.seeds]),
            ).gradient
            for place in range(self.replicates)
        ]  # fmt: skip
        exact = self.game.hypergradient(theta, self.game.exact.best(theta)).total
        played = self.game.hypergradient(theta, response).total
        return replace(own, measured=error_parts(exact, played, np.stack(others)))


def _seed(seed: int, update: int, place: int) -> int:
    return int(np.random.SeedSequence([seed, update, place]).generate_state(1)[0])
