"""What a gradient step of SAC takes, beside one of Stable-Baselines3.

`OPENBLAS_NUM_THREADS=1 python benchmarks/sac.py > benchmarks/results/sac.csv`: both in turns in one
process, by one thread, CPU time; networks and batches of the same size.
"""

import csv
import sys
import time

import numpy as np
import torch
from stable_baselines3 import SAC
from stable_baselines3.common.logger import Logger

from bilevelrl.models.deep.sac import ReplayMemory, SoftActorCritic, Transitions

SIZES = ((64, 128), (64, 256), (128, 256), (256, 256))
STEPS, TURNS, STATES, ACTIONS = 20, 15, 3, 1  # Pendulum-v1's


def theirs(width: int, batch: int) -> SAC:
    """Stable-Baselines3's agent, with some transitions in its memory."""
    model = SAC(
        "MlpPolicy",
        "Pendulum-v1",
        batch_size=batch,
        learning_starts=300,
        ent_coef=0.1,
        policy_kwargs={"net_arch": [width, width], "activation_fn": torch.nn.Tanh},
        seed=0,
        device="cpu",
    )
    model.set_logger(Logger(folder=None, output_formats=[]))
    model.learn(310)
    return model


def ours(width: int, numbers: np.random.Generator) -> tuple[SoftActorCritic, ReplayMemory]:
    """Our agent, and a memory of random transitions."""
    learner = SoftActorCritic(
        STATES,
        ACTIONS,
        hidden=(width, width),
        activation="tanh",
        critics=2,
        temperature=0.1,
        discount=0.99,
        target_rate=0.005,
        numbers=numbers,
    )
    memory = ReplayMemory(1000, 1, STATES, ACTIONS)
    for _ in range(310):
        state, after = numbers.standard_normal((2, 1, STATES), dtype=np.float32)
        action = numbers.uniform(-1.0, 1.0, (1, ACTIONS)).astype(np.float32)
        one = np.ones(1, np.float32)
        memory.add(Transitions(state, action, one, after, one))
    return learner, memory


def compare(width: int, batch: int) -> tuple[float, float]:
    """Milliseconds of a gradient step, theirs and ours; medians over turns."""
    numbers = np.random.default_rng(0)
    model, (learner, memory) = theirs(width, batch), ours(width, numbers)
    took: tuple[list[float], list[float]] = [], []
    for _ in range(TURNS):
        started = time.process_time()
        model.train(STEPS, batch)
        middle = time.process_time()
        for _ in range(STEPS):
            normals = numbers.standard_normal((2, batch, ACTIONS), dtype=np.float32)
            learner.step(memory.sample(batch, numbers), normals, 3e-4)
        for own, seconds in zip(
            took, (middle - started, time.process_time() - middle), strict=True
        ):
            own.append(1e3 * seconds / STEPS)
    return float(np.median(took[0])), float(np.median(took[1]))


if __name__ == "__main__":
    torch.set_num_threads(1)
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(["width", "batch", "stable_baselines3_ms", "ours_ms", "ratio"])
    for size in SIZES:
        other, own = compare(*size)
        table.writerow([*size, f"{other:.2f}", f"{own:.2f}", f"{other / own:.1f}"])
        sys.stdout.flush()
