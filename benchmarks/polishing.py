"""What FourRooms' identified leader would gain if its last batches went into polishing θ.

`python benchmarks/polishing.py > benchmarks/results/polishing.csv`: on tuning seeds, the leader
identifies for a part of its transitions, and what it recommends then climbs for the rest along
sampled BC-HG (corrected, with the step size that is shipped for as many transitions per update, and
with a tenth of it), with an exact critic too, or along the exact hypergradient, which no sampled
estimate is better than. Compared with identifying to the end, seed by seed.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from bilevelrl.core.arrays import Floats
from bilevelrl.core.ascent import GradientAscent
from bilevelrl.core.estimator import Estimator
from bilevelrl.core.model_based import exact
from bilevelrl.core.seeding import Streams
from bilevelrl.core.training import Game, Interaction, ascend
from bilevelrl.problems.four_rooms import cell, identified
from bilevelrl.problems.four_rooms.ladder import LADDER
from bilevelrl.runs.params import read_params

SEEDS = range(10000, 10010)
BUDGETS = (100, 1000)
#: Of the transitions, those that polish.
SHARES = (0.125, 0.25, 0.5)
CONFIDENCE = 0.95
(EXACT_CRITIC,) = (rung for rung in LADDER if rung.critic == "exact")


@dataclass(frozen=True, eq=False)
class StartingAt:
    """Implements `Interaction`: a game that begins at a θ of one's own, shape (R, D)."""

    game: Game[Any]
    theta: Floats

    def start(self, streams: Streams) -> tuple[Floats, Any]:
        """See `Interaction`."""
        return self.theta.copy(), self.game.start(streams)[1]

    def respond(self, theta: Floats, memory: Any, streams: Streams) -> Any:
        """See `Interaction`."""
        return self.game.respond(theta, memory, streams)


def built(name: str, **changes: Any) -> tuple[Any, cell.FourRoomsGroup[Any], float]:
    """One shipped setting of BC-HG for all seeds, its group, and the clip of its gradient."""
    params = read_params()
    problem = params.problem("four_rooms")
    found = {
        key.rsplit(".", 1)[1]: own for key, own in problem.block.settings("four_rooms", "bc_hg")
    }
    setting = found[name].model_copy(update=changes)
    many = [setting] * len(SEEDS)
    group = cell.make_group(many, problem.block.constants, problem.followers)
    return setting, group, problem.block.training.max_gradient_norm


def recommendations(budget: int) -> list[Floats]:
    """After each update of the identified leader, shape (R, D)."""
    setting, group, _ = built(f"identified_{budget}")
    estimator, rule = identified.bc_hg(group), GradientAscent(np.ones(len(SEEDS)), 1.0)
    steps = ascend(
        group.game, estimator, Streams(list(SEEDS)), rule=rule, num_updates=setting.num_updates
    )
    return [step.estimate.recommended for step in steps if step.estimate.recommended is not None]


def climbed(
    start: Floats, budget: int, updates: int, scale: float,
    make: Callable[[cell.FourRoomsGroup[Any]], Estimator[Any]],
) -> Floats:  # fmt: skip
    """J of every seed after so many updates from its θ; steps are `scale` times the shipped one."""
    setting, group, most = built(f"corrected_{budget}")
    game: Interaction[Any] = StartingAt(group.game, start)
    rule = GradientAscent(np.full(len(SEEDS), scale * setting.step_size), most)
    streams = Streams([seed + 1_000_000 for seed in SEEDS])
    theta = start
    for step in ascend(game, make(group), streams, rule=rule, num_updates=updates):
        theta = step.next_theta
    return group.game.optimal_return(theta)


def rows(budget: int) -> Iterator[dict[str, object]]:
    """All ways to polish, of leaders with so many transitions per update."""
    found = recommendations(budget)
    _, group, _ = built(f"corrected_{budget}")
    ended = group.game.optimal_return(found[-1])
    ways: dict[str, Callable[[Any], Any]] = {
        "sampled": cell.bc_hg,
        "exact critic": lambda g: EXACT_CRITIC.change(cell.bc_hg(g), g.game),
        "exact": exact,
    }
    for share in SHARES:
        updates = round(share * len(found))
        begun = found[len(found) - updates - 1]
        before = group.game.optimal_return(begun)
        for way, make in ways.items():
            for scale in (1.0, 0.1):
                after = climbed(begun, budget, updates, scale, make)
                gain = after - ended
                half = stats.t.ppf(0.5 + CONFIDENCE / 2.0, len(gain) - 1) * stats.sem(gain)
                yield {
                    "env_steps_per_update": budget, "share": share, "way": way,
                    "step_size_over_shipped": scale,
                    "seeds": len(gain), "identified_mean": ended.mean(),
                    "identified_worst": ended.min(), "before_mean": before.mean(),
                    "polished_mean": after.mean(), "polished_worst": after.min(),
                    "gain": gain.mean(), "gain_low": gain.mean() - half,
                    "gain_high": gain.mean() + half,
                }  # fmt: skip


if __name__ == "__main__":
    table = pd.DataFrame([row for budget in BUDGETS for row in rows(budget)])
    table.to_csv(sys.stdout, index=False, float_format="%.6g", lineterminator="\n")
