"""What an estimate misses where houses do not play their best response: lag, belief, variance.

Let g* be the hypergradient, g(π) the same formula at the policy π that houses play, which is what
BC-HG would give from endless samples, and ĝ an estimate. With l = g(π) - g* and b = E[ĝ] - g(π),

    E|ĝ - g*|² = l·(l + b) + b·(l + b) + E|ĝ - E ĝ|² = lag + belief + variance.

The product 2 l·b belongs to both, half each; so a part is 0 where its vector is, and below 0 where
it makes up for the other. E is over the batch of this update: what a critic has learned by then
belongs to its belief. From K estimates that differ in their batches alone, every part is unbiased,
and the three sum to the mean of |ĝ - g*|² over these K.
"""

from dataclasses import dataclass, replace

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.estimator import Estimate, Estimator, Memory
from bilevelrl.core.seeding import Streams
from bilevelrl.problems.home_battery.game import BatteryGame
from bilevelrl.problems.home_battery.planner import HouseholdResponse


def split(exact: Floats, played: Floats, estimates: Floats) -> dict[str, Floats]:
    """The three parts and |g*|², each (R,), in ($ per day per $/kWh)².

    Args:
        exact: g*, shape (R, D).
        played: g(π), shape (R, D).
        estimates: K independent ĝ, shape (K, R, D).

    Raises:
        ValueError: if K is less than 2.
    """
    number = len(estimates)
    if number < 2:
        raise ValueError(f"estimates must be at least 2, got {number}")
    own = np.ascontiguousarray(estimates.swapaxes(0, 1))  # bits must not depend on the batch
    mean = own.sum(axis=1) / number
    squares = np.square(own - mean[:, None]).reshape(len(own), -1)
    variance = squares.sum(axis=1) / (number - 1)
    lag, belief = played - exact, mean - played
    both = (lag * belief).sum(axis=1)
    return {
        "lag_error": np.square(lag).sum(axis=1) + both,
        "belief_error": np.square(belief).sum(axis=1) - variance / number + both,
        "variance_error": variance,
        "hypergradient_square": np.square(exact).sum(axis=1),
    }


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
        """The estimator's, and `split` of it once in an interval."""
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
        return replace(own, measured=split(exact, played, np.stack(others)))


def _seed(seed: int, update: int, place: int) -> int:
    return int(np.random.SeedSequence([seed, update, place]).generate_state(1)[0])
