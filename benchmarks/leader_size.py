"""What BC-HG costs a leader of D parameters beyond a plain policy gradient, of the same network.

An update is all of it: coefficients from given advantages, one pass forwards and one back, a step
of the optimiser; 10,000 transitions in episodes of 100. Both updates alternate in one process, and
the ratio is that of their medians. Memory is what an update holds at its peak beyond PyTorch's
tensors, which are the same for both. `python benchmarks/leader_size.py` prints the table.
"""

import argparse
import csv
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable

import torch
from torch import Tensor, nn

from bilevelrl import Agents, Episodes, action_coefficients, surrogate

TRANSITIONS, HORIZON, OBSERVATION, ACTIONS = 10_000, 100, 16, 8
AGENTS = Agents(leader_discount=0.99, follower_discount=0.99, temperature=0.1)
Update = Callable[[], None]


def leader_of(size: int) -> nn.Module:
    """Two hidden layers of equal width, about `size` parameters."""
    given = OBSERVATION + ACTIONS + 2
    width = round((-given + (given**2 + 4 * (size - ACTIONS)) ** 0.5) / 2)
    return nn.Sequential(
        nn.Linear(OBSERVATION, width),
        nn.Tanh(),
        nn.Linear(width, width),
        nn.Tanh(),
        nn.Linear(width, ACTIONS),
    )


def updates_of(leader: nn.Module) -> dict[str, Update]:
    """One update of each estimator, from the same batch."""
    torch.manual_seed(0)
    observation, action = (
        torch.randn(TRANSITIONS, OBSERVATION),
        torch.randint(ACTIONS, (TRANSITIONS,)),
    )
    own, side, follower = torch.randn(3, TRANSITIONS)
    terminated = torch.arange(TRANSITIONS) % HORIZON == HORIZON - 1
    optimizer = torch.optim.SGD(leader.parameters(), lr=1e-6, maximize=True)

    def log_prob() -> Tensor:
        logits = torch.log_softmax(leader(observation), dim=1)
        return logits.gather(1, action[:, None])[:, 0]

    def step(objective: Tensor) -> None:
        optimizer.zero_grad()
        objective.backward()
        optimizer.step()

    def policy_gradient() -> None:
        step((own * log_prob()).sum() / (TRANSITIONS // HORIZON))

    def bc_hg() -> None:
        coefficients = action_coefficients(
            Episodes.read(terminated),
            AGENTS,
            leader_advantage=own,
            follower_side_advantage=side,
            follower_advantage=follower,
        )
        step(surrogate(coefficients, log_prob()))

    return {"policy_gradient": policy_gradient, "bc_hg": bc_hg}


def medians(updates: dict[str, Update], repetitions: int) -> dict[str, float]:
    """Seconds per update, the estimators in turns."""
    taken: dict[str, list[float]] = {name: [] for name in updates}
    for repetition in range(repetitions + 1):
        for name, update in updates.items():
            begun = time.perf_counter()
            update()
            if repetition:  # the first compiles
                taken[name].append(time.perf_counter() - begun)
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def peak(update: Update) -> float:
    """MiB that Python and NumPy hold at most during an update."""
    tracemalloc.start()
    update()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most / 2**20


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=20)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(
        [
            "parameters",
            "policy_gradient_ms",
            "bc_hg_ms",
            "ratio",
            "bc_hg_mib",
            "transitions",
            "cores",
        ]
    )
    for size in (10**3, 10**4, 10**5, 10**6):
        leader = leader_of(size)
        updates = updates_of(leader)
        seconds = medians(updates, arguments.repetitions)
        row = [sum(parameter.numel() for parameter in leader.parameters())]
        row += [f"{1e3 * seconds[name]:.3g}" for name in ("policy_gradient", "bc_hg")]
        row += [f"{seconds['bc_hg'] / seconds['policy_gradient']:.2f}"]
        row += [f"{peak(updates['bc_hg']):.1f}", TRANSITIONS, torch.get_num_threads()]
        table.writerow(row)


if __name__ == "__main__":
    main()
