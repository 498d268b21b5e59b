"""What others' code takes for the same work, in the process that also measures ours.

Each function returns (ours, peer) in milliseconds. A peer is the released algorithm as this
package has it, or another library; what neither has is measured nowhere here.
"""

import statistics
import time
from collections.abc import Callable

import gymnasium
import numpy as np
import torch
from stable_baselines3 import SAC
from stable_baselines3.common.env_util import make_vec_env

from bilevelrl.core.seeding import Streams
from bilevelrl.core.settings import Setting
from bilevelrl.core.threads import one_thread
from bilevelrl.models.deep.settings import SacParams
from bilevelrl.models.tabular.soft_policy_iteration import SoftPolicyIteration
from bilevelrl.models.tabular.truncated import Truncated
from bilevelrl.problems.four_rooms.problem import FourRooms
from bilevelrl.runs.params import Params

RELEASED_ADAM_STEPS = 5000  # of each network, in every update: docs/results/thermal_control.md
SAC_STEPS = 2000


def released_sweeps(params: Params, repetitions: int) -> tuple[float, float]:
    """A follower of FourRooms: 100 x 5 sweeps from zero against our warm-started solver."""
    problem = FourRooms(slip_kernels="published")
    runs, rng = 20, np.random.default_rng(0)
    beta = np.full(runs, 0.003)
    ours = SoftPolicyIteration(problem.planner, beta, params.followers.tolerance, 200)
    literal = Truncated(problem.planner, beta, np.full(runs, 100), params.followers.sweeps, "zero")
    streams = Streams(range(runs))
    warm, table = ours.start(runs, streams), literal.start(runs, streams)
    theta = rng.normal(size=(runs, problem.num_parameters))
    times = []
    for _ in range(repetitions + 1):
        theta = theta + 0.05 * rng.normal(size=theta.shape)
        reward = problem.follower_reward(theta)
        start = time.perf_counter()
        literal.respond(reward, table, streams)
        middle = time.perf_counter()
        ours.respond(reward, warm)
        times.append((time.perf_counter() - middle, middle - start))
    # The first pair compiles; the pair with the median ratio keeps the two comparable.
    own, peer = sorted(times[1:], key=lambda pair: pair[1] / pair[0])[len(times[1:]) // 2]
    return 1e3 * own / runs, 1e3 * peer / runs


def released_networks(setting: Setting, milliseconds: Callable[[Setting], float]) -> float:
    """An update of thermal control with the released networks, from few of their Adam steps."""

    def taking(steps: int) -> float:
        critic = {"kind": "network", "steps": steps, "step_size": 1e-4}
        return milliseconds(type(setting).model_validate(setting.model_dump() | {"critic": critic}))

    few, more = 5, 25
    start = taking(few)
    each = (taking(more) - start) / (more - few)
    return start + each * (RELEASED_ADAM_STEPS - few)


def stable_baselines(options: SacParams, temperature: float) -> float:
    """A transition of Stable-Baselines3's SAC in Pendulum-v1, with the options of our follower."""
    with one_thread():
        model = SAC(
            "MlpPolicy",
            make_vec_env(lambda: gymnasium.make("Pendulum-v1"), n_envs=options.n_envs),
            learning_rate=options.learning_rate,
            buffer_size=options.buffer_size,
            learning_starts=8 * options.n_envs,
            batch_size=options.batch_size,
            tau=options.tau,
            gradient_steps=options.gradient_steps,
            ent_coef=temperature,
            policy_kwargs={
                "net_arch": list(options.net_arch),
                "n_critics": options.n_critics,
                "activation_fn": {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh}[
                    options.activation_fn
                ],
            },
            seed=0,
        )
        model.learn(20 * options.n_envs)
        times = []
        for _ in range(4):
            start = time.perf_counter()
            model.learn(SAC_STEPS // 4, reset_num_timesteps=False)
            times.append((time.perf_counter() - start) / (SAC_STEPS // 4))
    return 1e3 * statistics.median(times)
