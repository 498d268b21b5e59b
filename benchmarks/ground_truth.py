"""What one ground truth of the guided cart-pole costs, beside that of an earlier commit.

`OPENBLAS_NUM_THREADS=1 python benchmarks/ground_truth.py 22e7a02 > benchmarks/results/
ground_truth.csv`: CPU seconds of the follower's best response and of the exact hypergradient, both
on the training grid, at the same θ in turns: after some updates of an exact ascent from a tuning
seed. The earlier code runs in a worktree of its own. Kernels are compiled before.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bilevelrl.core.ascent import Adam
from bilevelrl.core.seeding import Streams
from bilevelrl.problems.guided_cartpole import cell
from bilevelrl.problems.guided_cartpole.planning.best_response import best_response
from bilevelrl.problems.guided_cartpole.planning.hypergradient import planned
from bilevelrl.problems.guided_cartpole.planning.mechanics import TrueMechanics
from bilevelrl.problems.guided_cartpole.planning.planner import Planner
from bilevelrl.runs.params import read_params

HERE = Path(__file__).absolute()
SEED, UPDATES, STEP_SIZE = 30_001, (0, 4, 8, 12), 0.03
PARTS = "best_response", "hypergradient"


def measured() -> dict[str, list[float]]:
    """CPU seconds of each part, and |dJ/dθ|, at each θ."""
    block: Any = read_params().block("guided_cartpole")
    shared, constants = block.training, block.constants
    rollout = cell.make_rollout(constants, shared.winds, shared.units)
    problem = rollout.problem
    planner = Planner(TrueMechanics(problem), rollout.policy, rollout.winds, shared.reference)
    discounts = problem.leader_discount, problem.follower_discount
    theta = rollout.policy.initial_parameters(Streams([SEED]))
    rule = Adam(np.full(1, STEP_SIZE), shared.max_gradient_norm)
    optimiser = rule.start(theta.shape)
    found: dict[str, list[float]] = {name: [] for name in (*PARTS, "norm")}
    for update in (-1, *range(max(UPDATES) + 1)):  # the first one compiles
        begun = time.process_time()
        response = best_response(planner, theta[0], shared.temperature, discounts[1])
        answered = time.process_time()
        exact = planned(
            planner, theta[0], response, shared.temperature, discounts, problem.max_episode_steps
        )
        whole = exact.direct + exact.indirect
        if update in UPDATES:
            ended = time.process_time(), float(np.linalg.norm(whole))
            for name, value in zip(found, (answered - begun, ended[0] - answered, ended[1]),
                                   strict=True):  # fmt: skip
                found[name].append(value)
        if update >= 0:
            theta = rule.step(theta, whole[None], optimiser)
    return found


def elsewhere(commit: str) -> dict[str, list[float]]:
    """`measured` by the code of a commit."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "then"
        subprocess.run(["git", "worktree", "add", "-q", "--detach", place, commit], check=True)
        try:
            paths = {"PYTHONPATH": f"{place / 'src'}:{place}"}
            told = subprocess.run(
                [sys.executable, HERE, "--measure"], cwd=place, capture_output=True, text=True,
                check=True, env={**os.environ, **paths},
            ).stdout  # fmt: skip
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", place], check=True)
    found: dict[str, list[float]] = json.loads(told)
    return found


if __name__ == "__main__":
    if sys.argv[1:] == ["--measure"]:
        print(json.dumps(measured()))
    else:
        then, now = elsewhere(sys.argv[1]), measured()
        rows = [
            {"update": update, "part": part, "commit": sys.argv[1], "then": then[part][row],
             "now": now[part][row], "ratio": then[part][row] / now[part][row]}
            for row, update in enumerate(UPDATES) for part in PARTS
        ]  # fmt: skip
        pd.DataFrame(rows).to_csv(sys.stdout, index=False, float_format="%.3g", lineterminator="\n")
