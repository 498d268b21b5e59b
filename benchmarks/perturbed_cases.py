"""Every problem whose hypergradient is known, with the perturbed follower's quotients of it.

Answers and means are exact: nothing is sampled.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.perturbed_follower import derivative
from bilevelrl.core.seeding import Streams
from bilevelrl.models.finite_game.exact import game_hypergradient
from bilevelrl.models.finite_game.perturbed import PerturbedFollower
from bilevelrl.models.finite_game.policies import TabularPolicy
from bilevelrl.models.finite_game.soft_q_iteration import SoftQIteration
from bilevelrl.models.network_flow.charged_roads import ChargedRoads
from bilevelrl.models.network_flow.equilibrium import equilibrium
from bilevelrl.models.network_flow.game import RoadGame
from bilevelrl.models.network_flow.hypergradient import Objective, net_cost, travel_time
from bilevelrl.models.network_flow.perturbed_travel import largest_epsilon, push
from bilevelrl.models.network_flow.sioux_falls import sioux_falls
from bilevelrl.models.tabular.exact import exact_hypergradient
from bilevelrl.models.tabular.perturbed import ExactWatch, PerturbedAgent
from bilevelrl.models.tabular.soft_policy_iteration import SoftPolicyIteration
from bilevelrl.problems.bilevel_lqr.exact import lqr_hypergradient
from bilevelrl.problems.bilevel_lqr.follower import MaxEntropyLQR
from bilevelrl.problems.bilevel_lqr.perturbed import PerturbedRegulator as PerturbedLQR
from bilevelrl.problems.bilevel_lqr.problem import BilevelLQR
from bilevelrl.problems.discrete_toy.ladder import table_of
from bilevelrl.problems.discrete_toy.problem import discrete_toy
from bilevelrl.problems.four_rooms.problem import FourRooms
from bilevelrl.problems.guided_cartpole.answered_game import best_responses
from bilevelrl.problems.guided_cartpole.ladder import points as cart_pole_points
from bilevelrl.problems.guided_cartpole.planning.best_response import best_response
from bilevelrl.problems.guided_cartpole.planning.grid import GridParams
from bilevelrl.problems.guided_cartpole.planning.hypergradient import planned
from bilevelrl.problems.guided_cartpole.planning.mechanics import TrueMechanics
from bilevelrl.problems.guided_cartpole.planning.paid_response import PaidFollower
from bilevelrl.problems.guided_cartpole.planning.planner import Planner
from bilevelrl.problems.guided_cartpole.policy import ModulePolicy
from bilevelrl.problems.guided_cartpole.problem import GuidedCartPole
from bilevelrl.problems.home_battery import exact as home_battery
from bilevelrl.problems.home_battery.perturbed import ExactMeter, PerturbedHousehold
from bilevelrl.problems.home_battery.planner import ExactPlanner
from bilevelrl.problems.home_battery.problem import HomeBattery
from bilevelrl.problems.thermal_control.exact import thermal_hypergradient
from bilevelrl.problems.thermal_control.follower import ThermalRegulator
from bilevelrl.problems.thermal_control.perturbed import PerturbedRegulator as PerturbedThermal
from bilevelrl.problems.thermal_control.perturbed import largest_epsilon as free_energy
from bilevelrl.problems.thermal_control.problem import ThermalControl
from bilevelrl.runs.params import read_params

ONE, STREAMS = np.ones(1), Streams([0])


@dataclass(frozen=True, eq=False)
class Case:
    """One θ of one problem.

    Attributes:
        problem, point: names.
        unit: of ε.
        truth: dJ/dθ, shape (D,).
        quotient: of ε and whether it is two-sided, shape (D,).
        bound: ε at which a two-sided quotient has no answer, if any.
    """

    problem: str
    point: str
    unit: float
    truth: Floats
    quotient: Callable[[float, bool], Floats]
    bound: float = np.inf


def rooms() -> Iterator[Case]:
    """FourRooms, where little of the gradient is the follower's, and where nearly all is."""
    problem, beta = FourRooms(), 0.003 * ONE
    follower = SoftPolicyIteration(problem.planner, beta, 1e-12, 60)
    normals = {seed: np.random.default_rng(seed).standard_normal((1, 105)) for seed in (0, 189)}
    for point, theta in (("near zero", 0.01 * normals[0]), ("normal, sd 6", 6.0 * normals[189])):
        answer = follower.respond(problem.follower_reward(theta), follower.start(1))
        truth = exact_hypergradient(problem, theta, answer.policy, beta).total[0]

        def quotient(
            epsilon: float, two_sided: bool, theta: Floats = theta, answer: Any = answer
        ) -> Floats:
            own = PerturbedAgent(ExactWatch(problem), follower, epsilon * ONE, two_sided)
            found: Floats = own.estimate(theta, answer, own.start(STREAMS), STREAMS).gradient[0]
            return found

        unit = float(beta[0] / np.abs(problem.leader_reward(0.0 * theta)).max())
        yield Case("FourRooms", point, unit, truth, quotient)


def toy(revisit_reward: float, probability: float) -> Case:
    """A toy game."""
    game, beta, theta = discrete_toy(revisit_reward), 0.05 * ONE, table_of(probability)[None]
    policy = TabularPolicy(game.num_states, game.num_leader_actions)
    leader = policy.probabilities(theta)
    follower = SoftQIteration(game, beta, 1e-10, 60, "correct")
    answer = follower.respond(leader, follower.start(1))
    both = game_hypergradient(
        game, leader, answer, beta,
        discount=game.leader_discount, horizon=game.max_episode_steps, order="correct",
    )  # fmt: skip
    truth = policy.pull_back(theta, (both.direct + both.indirect) * leader)[0]

    def quotient(epsilon: float, two_sided: bool) -> Floats:
        own = PerturbedFollower(game, policy, beta, epsilon * ONE, two_sided=two_sided)
        found: Floats = own.estimate(theta, answer, {}, STREAMS).gradient[0]
        return found

    unit = float(beta[0] / np.abs(game.leader_reward).max())
    return Case(f"toy R{revisit_reward:.0f}", f"q = {probability:g}", unit, truth, quotient)


def regulator(gain: tuple[float, float]) -> Case:
    """BilevelLQR."""
    problem, theta = BilevelLQR.published(), np.array([gain])
    follower = MaxEntropyLQR(problem, 0.1 * ONE)
    answer = follower.respond(theta)
    truth = lqr_hypergradient(follower, theta, answer, problem.leader_discount).total[0]

    def quotient(epsilon: float, two_sided: bool) -> Floats:
        own = PerturbedLQR(problem, 0.1 * ONE, epsilon * ONE, two_sided=two_sided)
        found: Floats = own.estimate(theta, answer, {}, STREAMS).gradient[0]
        return found

    unit = 0.1 / problem.leader_reward_scale
    return Case("BilevelLQR", f"K = ({gain[0]:g}, {gain[1]:g})", unit, truth, quotient)


def building() -> Case:
    """Thermal control, whose unit is where a charged follower's energy is free."""
    problem, theta = ThermalControl.published(), np.zeros((1, 8))
    follower = ThermalRegulator(problem, 0.1 * ONE)
    answer = follower.respond(theta)
    truth, bound = thermal_hypergradient(follower, theta, answer).total[0], free_energy(problem)

    def quotient(epsilon: float, two_sided: bool) -> Floats:
        own = PerturbedThermal(problem, None, follower, epsilon * ONE, two_sided)
        found: Floats = own.estimate(theta, answer, {}, STREAMS).gradient[0]
        return found

    return Case("thermal control", "θ = 0", bound, truth, quotient, bound)


def house() -> Case:
    """Home battery, one house on its mean day."""
    problem, theta, beta = HomeBattery.of_houses(1), np.full((1, 24), 0.30), 0.05 * ONE
    planner = ExactPlanner(problem, beta)
    answer = planner.best(theta)
    truth = home_battery.exact_hypergradient(problem, theta, answer.policy, beta).total[0]
    others = home_battery.mean_day(problem, answer.policy).others
    largest = np.abs(home_battery.leader_rewards(problem, others)).max()

    def quotient(epsilon: float, two_sided: bool) -> Floats:
        own = PerturbedHousehold(ExactMeter(problem), planner, epsilon * ONE, two_sided)
        found: Floats = own.estimate(theta, answer, own.start(STREAMS), STREAMS).gradient[0]
        return found

    return Case("home battery", "flat tariff", float(beta[0] / largest), truth, quotient)


def roads(name: str, objective: Objective) -> Case:
    """Road pricing without tolls, whose unit is where an empty road costs half of its time."""
    constants: Any = read_params().block("tolls").constants
    network, theta = sioux_falls(), np.zeros((1, len(constants.toll_links)))
    links = np.array(constants.toll_links)
    game = RoadGame(ChargedRoads(network, links, constants.highest_toll, objective), ONE)
    answer = game.respond(theta, game.follower_memory(1, STREAMS), STREAMS)
    truth, reached = game.hypergradient(theta, answer).total[0], answer.reached
    told, charges = objective(reached), game.roads.charges(theta)
    more = push(told, reached.slope)
    (unit,) = largest_epsilon(network.free_flow_time + charges, more, two_sided=True)

    def quotient(epsilon: float, two_sided: bool) -> Floats:
        def flow(share: Floats) -> Floats:
            return equilibrium(network, charges + share[:, None] * more, ONE, reached.flow).flow

        moved = derivative(flow, epsilon * ONE, None if two_sided else reached.flow)
        found: Floats = game.roads.pulled_back(theta, -(told.of_theta + told.of_cost + moved))[0]
        return found

    return Case("road pricing", f"no toll, `{name}`", float(unit), truth, quotient, 2.0 * unit)


def _on_the_grid(
    point: str, planner: Planner, theta: Floats, problem: GuidedCartPole, beta: float, sweeps: int
) -> Case:
    discounts = problem.leader_discount, problem.follower_discount
    answer, horizon = best_response(planner, theta, beta, discounts[1]), problem.max_episode_steps
    exact = planned(
        planner, theta, answer, beta, discounts, horizon, accuracy=1e-7, sweeps=sweeps
    )  # fmt: skip
    follower = PaidFollower(planner, theta, answer, beta, discounts, horizon)

    def quotient(epsilon: float, two_sided: bool) -> Floats:
        return follower.derivative(epsilon, two_sided=two_sided)

    return Case("guided cart-pole", point, beta, exact.direct + exact.indirect, quotient)


def cart_pole() -> Case:
    """Guided cart-pole on a grid that is coarser than the shipped ones, and a small network."""
    grid = GridParams(
        kind="grid", positions=15, speeds=7, top_speed=1.6, angles=17, rotations=19,
        top_rotation=1.75, pushes=5, tolerance=1e-4,
    )  # fmt: skip
    problem, policy = GuidedCartPole(), ModulePolicy(4, 3, (8,))
    planner = Planner(TrueMechanics(problem), policy, np.array([-0.5, 0.0, 0.5]), grid)
    theta = policy.initial_parameters(STREAMS)[0]
    theta += 0.3 * np.random.default_rng(1).standard_normal(len(theta))
    return _on_the_grid("normal, sd 0.3", planner, theta, problem, 0.2, 400)


def later_cart_pole() -> Case:
    """The same on the grid of training, at the later leader of the study of errors."""
    own: Any = read_params().problem("guided_cartpole")
    shared, constants = own.block.training, own.block.constants
    point = f"direct ascent, update {max(own.block.gradients.updates)}"
    theta = cart_pole_points(own, np.zeros(0))[point]
    game = best_responses(constants, shared.winds, shared.units, shared.reference)
    problem, beta = game.rollout.problem, float(shared.temperature)
    return _on_the_grid(point, game.planner, theta, problem, beta, 600)


def cases() -> Iterator[Case]:
    """All of them."""
    yield toy(1.0, 0.3)
    yield toy(2.0, 0.55)
    yield from rooms()
    yield regulator((-9.0, -9.0))
    yield building()
    yield house()
    yield roads("tstt", travel_time)
    yield roads("net", net_cost)
    yield cart_pole()
    yield later_cart_pole()
