"""How much of what BC-HG promises arrives, against a follower that learns.

`python benchmarks/indirect_response.py`, about two minutes on two cores.

In the guided cart-pole each update θ -> θ + δ promises a change of J, direct · δ from the leader's
own doing and indirect · δ from the follower's new answer. The change of J that is then measured is
regressed on both. With a best response, small steps and exact estimates both coefficients are 1.
"""

import numpy as np
from numpy.typing import NDArray

from bilevelrl.cells.protocol import Context
from bilevelrl.chunks import family
from bilevelrl.config import Params, read_params
from bilevelrl.execution import run_tasks
from bilevelrl.seeding import Streams
from bilevelrl.training import ascend

Floats = NDArray[np.float64]
PROBLEM = "guided_cartpole"
LAGS = (1, 3, 5)


def promises(task: tuple[Params, int]) -> Floats:
    """J, direct · δ and indirect · δ of every update of the run with a seed, shape (U, 3)."""
    params, seed = task
    (setting,) = params.settings(PROBLEM, "bc_hg")
    leaders = params.leaders.of(PROBLEM)
    context = Context(params.problems.of(PROBLEM), params.followers.of(PROBLEM), leaders)
    built = family(PROBLEM).build("bc_hg", [setting], context)
    rows = []
    for step in ascend(
        built.game, built.estimator, Streams([seed]), rule=built.rule,
        num_updates=setting.num_updates,
    ):  # fmt: skip
        (reached,) = built.game.leader_return(step.theta, step.response)
        moved = (step.next_theta - step.theta)[0]
        promised = (term[0] @ moved for term in (step.estimate.direct, step.estimate.indirect))
        rows.append((reached, *promised))
    return np.array(rows)


def fit(runs: list[Floats], lag: int) -> tuple[Floats, Floats]:
    """Coefficients of both promises over `lag` updates, and standard errors clustered by run."""
    inputs, outputs = [], []
    for run in runs:
        promised = np.lib.stride_tricks.sliding_window_view(run[:-1, 1:], lag, axis=0).sum(axis=2)
        inputs.append(np.concatenate([promised, np.ones((len(promised), 1))], axis=1))
        outputs.append(run[lag:, 0] - run[:-lag, 0])
    everything = np.concatenate(inputs)
    inverse = np.linalg.inv(everything.T @ everything)
    coefficients = inverse @ (everything.T @ np.concatenate(outputs))
    scores = [x.T @ (y - x @ coefficients) for x, y in zip(inputs, outputs, strict=True)]
    spread = inverse @ sum(np.outer(score, score) for score in scores) @ inverse
    factor = len(runs) / (len(runs) - 1)
    return coefficients[:2], np.sqrt(factor * np.diag(spread)[:2])


def main() -> None:
    """Train the runs of the default grid, and print one line per lag."""
    params = read_params()
    (setting,) = params.settings(PROBLEM, "bc_hg")
    tasks = [(params, seed) for seed in setting.seeds]
    done = dict(run_tasks(promises, tasks, params.runtime, description="promises"))
    runs = [done[place] for place in range(len(tasks))]
    mean = np.concatenate(runs)[:, 1:].mean(axis=0)
    print(f"promised per update: direct {mean[0]:.2f}, indirect {mean[1]:.2f}")
    for lag in LAGS:
        found, error = fit(runs, lag)
        print(
            f"arrived over {lag} updates: {found[0]:.2f} ± {error[0]:.2f} of the direct promise, "
            f"{found[1]:.2f} ± {error[1]:.2f} of the indirect one"
        )


if __name__ == "__main__":
    main()
