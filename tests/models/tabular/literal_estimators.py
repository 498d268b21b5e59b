"""The estimators of tabular problems as their definitions are written, for tests.

Shares nothing with `src` but the sampled batch: it carries explicit T x D tensors of gradient
returns and builds its tables as dictionaries of lists.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.batches import Batch
from bilevelrl.core.follower import BestResponse
from bilevelrl.core.seeding import stream
from bilevelrl.models.tabular.model import TabularModel, tabular_model
from bilevelrl.models.tabular.problem import TabularProblem
from bilevelrl.models.tabular.rollout import Rollout
from bilevelrl.models.tabular.soft_policy_iteration import SoftPolicyIteration
from bilevelrl.problems.four_rooms.problem import FourRooms

Floats = NDArray[np.float64]


Table = Mapping[Any, Any]


GAMMA = 0.99


SEEDS = [11, 12, 13]


TEMPERATURES = np.array([0.001, 0.003, 0.005])


STEP_SIZES = np.array([0.3, 0.9, 1.0])


@dataclass(frozen=True, eq=False)
class ActionProblem:
    """A random problem whose rewards, linear in θ, depend on the action (FourRooms' do not)."""

    planner: TabularModel
    follower: Floats  # ∂r_F/∂θ, shape (S, A, D)
    leader: Floats
    max_episode_steps: int = 15
    num_parameters: int = 3

    @property
    def simulator(self) -> TabularModel:
        return self.planner

    def initial_parameters(self, normals: Floats, spread: Floats) -> Floats:
        return normals * spread[:, None]

    def follower_reward(self, theta: Floats) -> Floats:
        return np.einsum("rd,sad->rsa", theta, self.follower)

    def leader_reward(self, theta: Floats) -> Floats:
        return 1.0 + np.einsum("rd,sad->rsa", theta, self.leader)

    def pull_back_follower_reward(self, theta: Floats, weights: Floats) -> Floats:
        return np.einsum("rsa,sad->rd", weights, self.follower)

    def pull_back_leader_reward(self, theta: Floats, weights: Floats) -> Floats:
        return np.einsum("rsa,sad->rd", weights, self.leader)


def action_problem() -> ActionProblem:
    generator = np.random.default_rng(8)
    discount = np.full(6, GAMMA)
    discount[5] = 0.0
    model = tabular_model(
        generator.integers(6, size=(6, 3)),
        generator.dirichlet(np.ones(3), (6, 2)),
        discount,
        np.eye(6)[0],
    )
    return ActionProblem(model, *(0.003 * generator.standard_normal((2, 6, 2, 3))))


@dataclass(frozen=True, eq=False)
class Case:
    """A problem at one θ per run, the follower's response, the rollouts, and explicit Jacobians."""

    problem: TabularProblem
    theta: Floats
    response: BestResponse
    rollout: Rollout
    oracle: Rollout
    follower_jacobian: Floats  # ∂r_F/∂θ, shape (R, S, A, D)
    leader_jacobian: Floats


def four_rooms_jacobians(theta: Floats) -> tuple[Floats, Floats]:
    """The follower's reward written out, and ∇_θ of -5 ‖c‖₁, ‖c‖₁ = .2 (1 - p_104) on the goal."""
    follower, leader = np.zeros((2, len(theta), 104, 4, 105))
    for r, row in enumerate(theta):
        p = np.exp(row) / np.exp(row).sum()
        for s in range(104):
            for j in range(105):
                follower[r, s, :, j] = -0.2 * p[s] * ((s == j) - p[j]) if s != 7 else 0.0
        for j in range(105):
            leader[r, 7, :, j] = 5.0 * 0.2 * p[104] * ((j == 104) - p[j])
    return follower, leader


def make_case(name: str) -> Case:
    generator = np.random.default_rng(20)
    problem: TabularProblem
    if name == "action_problem":
        problem = action_problem()
        theta = generator.standard_normal((3, 3))
        jacobians = tuple(np.tile(j, (3, 1, 1, 1)) for j in (problem.follower, problem.leader))
    else:
        problem = FourRooms(slip_kernels="published")
        theta = generator.standard_normal((3, 105))
        jacobians = four_rooms_jacobians(theta)
    # A limit of 25 cuts about every third episode in FourRooms; 200 leaves only the batch's end.
    limit = 200 if name == "four_rooms" else 25 if name == "four_rooms_cut" else 15
    model = problem.simulator
    follower = SoftPolicyIteration(problem.planner, TEMPERATURES, 1e-10, 60)
    start = np.zeros((3, model.num_states))
    return Case(
        problem,
        theta,
        follower.respond(problem.follower_reward(theta), start),
        Rollout(model, 2, 60, limit),
        Rollout(model, 2, 300, limit, consumer="oracle", uniform_starts=True),
        *jacobians,
    )


Rows = list[tuple[int, int, int, int]]  # (env, k, s, a) of every transition


class Literal:
    """One run of a batch, read as the definitions are written."""

    def __init__(self, batch: Batch, run: int) -> None:
        self.state, self.action, self.time = batch.state[run], batch.action[run], batch.time[run]
        self.done = (batch.terminated | batch.truncated)[run]
        self.num_envs, self.num_steps = self.state.shape
        self.rows: Rows = [
            (e, k, int(self.state[e, k]), int(self.action[e, k]))
            for e in range(self.num_envs)
            for k in range(self.num_steps)
        ]
        self.episodes = max(1, int(self.done.sum()))

    def returns(
        self, step: Callable[[int, int], Any], discount: float
    ) -> dict[tuple[int, int], Any]:
        """R_β[x] for x = step(s, a), by (env, k)."""
        result = {}
        for e in range(self.num_envs):
            following: Any = 0.0
            for k in reversed(range(self.num_steps)):
                x = step(int(self.state[e, k]), int(self.action[e, k]))
                following = x + discount * (1.0 - self.done[e, k]) * following
                result[e, k] = following
        return result

    def tables(self, y: Mapping[tuple[int, int], Any]) -> tuple[Table, Table]:
        """Q̂[y] and V̂[y], 0 where nothing was visited."""
        by_pair, by_state = defaultdict[Any, list[Any]](list), defaultdict[Any, list[Any]](list)
        for e, k, s, a in self.rows:
            by_pair[s, a].append(y[e, k])
            by_state[s].append(y[e, k])
        q, v = (
            defaultdict(float, {key: np.mean(values, axis=0) for key, values in table.items()})
            for table in (by_pair, by_state)
        )
        return q, v

    def direct(self, leader_jacobian: Floats, first: int) -> Any:
        """D = V̂[R_γ[∇r_U]](s0)."""
        gradients = self.returns(lambda s, a: leader_jacobian[s, a], GAMMA)
        return self.tables(gradients)[1][first]

    def indirect(
        self, advantage: Callable[[int, int], Any], follower: Callable[[int, int], Any]
    ) -> Any:
        """I · β = Σ_k γ^τ_k Â_U X_L / n_ep."""
        total = sum(
            GAMMA ** int(self.time[e, k]) * advantage(s, a) * follower(s, a)
            for e, k, s, a in self.rows
        )
        return total / self.episodes


def literal_sarsa(case: Case, batch: Batch, run: int) -> Floats:
    """The table after one pass from N(0, 1)."""
    numbers = stream(SEEDS[run], "critic")
    policy, reward = case.response.policy[run], case.problem.leader_reward(case.theta)[run]
    table: Floats = numbers.standard_normal(policy.shape)
    here = Literal(batch, run)
    remaining = list(here.rows)
    uniforms = numbers.random(len(remaining))
    for i in reversed(range(len(remaining))):
        j = int(uniforms[i] * (i + 1))
        e, k, s, a = remaining[j]
        remaining[j] = remaining[i]
        goes_on = k + 1 < here.num_steps and not here.done[e, k]
        after = table[here.state[e, k + 1], here.action[e, k + 1]] if goes_on else 0.0
        table[s, a] += STEP_SIZES[run] * (reward[s, a] + GAMMA * after - table[s, a])
    centred: Floats = table - (policy * table).sum(1, keepdims=True)
    return centred


def literal_indirect(method: str, case: Case, batch: Batch, oracle: Batch, run: int) -> Any:
    """The indirect term of one run times β."""
    here = Literal(batch, run)
    source = Literal(oracle, run) if method == "hpgd_oracle" else here
    reward = case.problem.leader_reward(case.theta)[run]
    jacobian, policy = case.follower_jacobian[run], case.response.policy[run]
    q_leader, v_leader = source.tables(source.returns(lambda s, a: reward[s, a], GAMMA))
    if method == "sobirl":
        played = here.returns(lambda s, a: jacobian[s, a], 1.0)
        meant = here.returns(lambda s, a: policy[s] @ jacobian[s], 1.0)
        firsts = [row for row in here.rows if here.time[row[0], row[1]] == 0]
        parts = [(played[e, k] - meant[e, k]) * q_leader[s, a] for e, k, s, a in firsts]
        return np.mean(parts, axis=0)
    q_grad, v_grad = source.tables(source.returns(lambda s, a: jacobian[s, a], GAMMA))
    if method in ("hpgd_mc", "hpgd_oracle"):
        return here.indirect(
            lambda s, a: q_leader[s, a] - v_leader[s], lambda s, a: q_grad[s, a] - v_grad[s]
        )
    advantage = literal_sarsa(case, batch, run)
    if method == "hpgd_sa":
        return here.indirect(lambda s, a: advantage[s, a], lambda s, a: q_grad[s, a] - v_grad[s])
    return here.indirect(lambda s, a: advantage[s, a], lambda s, a: q_grad[s, a])
