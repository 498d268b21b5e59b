"""Replicated estimates at fixed θ, to be compared with the exact hypergradient."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bilevelrl.ascent import GradientAscent
from bilevelrl.cells.four_rooms import ESTIMATORS, Group, make_group
from bilevelrl.config import (
    FollowerParams,
    FourRoomsParams,
    FourRoomsSetting,
    GradientParams,
    Params,
)
from bilevelrl.critics.exact import ExactCritic
from bilevelrl.estimators.boltzmann_covariance import BoltzmannCovariance
from bilevelrl.estimators.exact import exact_hypergradient
from bilevelrl.estimators.hpgd import HPGD
from bilevelrl.estimators.protocol import Estimator
from bilevelrl.execution import run_tasks
from bilevelrl.followers.protocol import BestResponse
from bilevelrl.seeding import Streams, stream
from bilevelrl.training import ascend

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Study:
    """One estimator at one θ with one budget.

    Attributes:
        point: name of θ.
        theta: shape (D,).
        estimator: name in params.yaml.
        variant: "published" or "corrected".
        critic: "learned", "exact" or "none".
        budget: transitions per estimate; 0 for model-based estimators.
        params: of the study.
        constants: of the problem.
        followers: solver settings.
    """

    point: str
    theta: Floats
    estimator: str
    variant: str
    critic: str
    budget: int
    params: GradientParams
    constants: FourRoomsParams
    followers: FollowerParams


def points(
    params: GradientParams,
    constants: FourRoomsParams,
    followers: FollowerParams,
    best_theta: Floats,
) -> dict[str, Floats]:
    """θ at which to compare estimators: generic, along an exact trajectory, on the way to the best.

    `best_fraction` of the best known θ is where most of the hypergradient is indirect.
    """
    num_updates = max(params.trajectory_updates, default=0) + 1
    setting = _setting(params, "published", 0, num_updates, spread=params.trajectory_spread)
    group = make_group([setting], constants, followers)
    found = {
        "near zero": 0.01
        * stream(params.trajectory_seed, "initial_parameters").standard_normal(
            group.problem.num_parameters
        ),
        "sine": np.sin(np.arange(group.problem.num_parameters, dtype=np.float64)),
    }
    steps = ascend(
        group.game,
        ESTIMATORS["exact"](group),
        Streams([params.trajectory_seed]),
        rule=GradientAscent(np.array([0.5]), 1.0),
        num_updates=num_updates,
    )
    for step in steps:
        if step.update in params.trajectory_updates:
            found[f"exact ascent, update {step.update}"] = step.theta[0]
    found[f"{params.best_fraction:g} of the best known"] = params.best_fraction * best_theta
    return found


def studies(params: Params, problem: str, best_theta: Floats) -> list[Study]:
    """Everything that the gradients stage computes, the largest budgets first."""
    own = params.gradients.of(problem)
    constants: FourRoomsParams = params.problems.of(problem)
    followers = params.followers.of(problem)
    thetas = points(own, constants, followers, best_theta)
    kinds = [
        ("bc_hg", "published", "learned"), ("bc_hg", "corrected", "learned"),
        ("bc_hg", "corrected", "exact"), ("hpgd_sa", "published", "learned"),
        ("hpgd_mc", "published", "none"), ("hpgd_oracle", "published", "none"),
        ("sobirl", "published", "none"), ("naive", "published", "none"),
        ("naive", "corrected", "none"),
    ]  # fmt: skip
    sampled = [(*kind, budget) for budget in sorted(own.budgets, reverse=True) for kind in kinds]
    return [
        Study(point, theta, *kind, own, constants, followers)
        for kind in [*sampled, ("zero_order", "published", "none", 0)]
        for point, theta in thetas.items()
    ]


def _setting(
    params: GradientParams, variant: Any, budget: int, num_updates: int = 1, spread: float = 1.0
) -> FourRoomsSetting:
    return FourRoomsSetting(
        variant=variant,
        temperature=params.temperature,
        step_size=1.0,
        first_seed=params.first_seed,
        num_seeds=params.replicates,
        num_updates=num_updates,
        initial_spread=spread,
        env_steps_per_update=budget or None,
        num_envs=params.budgets.get(budget),
        critic_step_size=params.critic_step_size,
        oracle_steps_per_update=params.oracle_steps_per_update,
        radius=params.radius,
    )


def _estimator(study: Study, group: Group) -> Estimator[BestResponse]:
    estimator = ESTIMATORS[study.estimator](group)
    if study.critic == "exact":
        assert isinstance(estimator, BoltzmannCovariance | HPGD)
        estimator = replace(estimator, critic=ExactCritic(group.problem.planner))
    return estimator


def replicate(study: Study) -> tuple[Floats, Floats]:
    """Independent estimates at one θ.

    Returns:
        The estimates, shape (n, D), each from its own seed, and the exact hypergradient, shape
        (D,).
    """
    setting = _setting(study.params, study.variant, study.budget)
    group = make_group([setting] * setting.num_seeds, study.constants, study.followers)
    streams = Streams(list(setting.seeds))
    theta = np.tile(study.theta, (setting.num_seeds, 1))
    answer = group.game.respond(theta, group.game.follower.start(len(theta), streams), streams)
    estimator = _estimator(study, group)
    memory = estimator.start(streams)
    batches = 1
    if study.critic == "learned":
        batches += -(-study.params.warm_up_steps // study.budget)
    for _ in range(batches):
        estimate = estimator.estimate(theta, answer, memory, streams)
    truth = exact_hypergradient(group.problem, theta[:1], answer.policy[:1], group.temperature[:1])
    return estimate.gradient, truth.total[0]


def replicate_all(
    params: Params, problem: str, best_theta: Floats
) -> Iterator[tuple[Study, Floats, Floats]]:
    """Run every study; yields (study, estimates, exact hypergradient) in the order of `studies`."""
    tasks: Sequence[Study] = studies(params, problem, best_theta)
    results: dict[int, tuple[Floats, Floats]] = dict(
        run_tasks(replicate, tasks, params.runtime, description=f"gradients of {problem}")
    )
    for position, study in enumerate(tasks):
        yield study, *results[position]
