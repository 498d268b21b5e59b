"""Summed over every episode of a small game, each channel's estimate is the exact hypergradient.

The exact one is autograd's, through the follower's best response. No sampling error is left, so
that agreement is to rounding.
"""

from collections.abc import Callable

import pytest
import torch

from bilevelrl.hypergradients.advantages import choice_advantages, generalized_advantages
from bilevelrl.hypergradients.coefficients import (
    Agents,
    Coefficients,
    action_coefficients,
    reward_coefficients,
    transition_coefficients,
)
from bilevelrl.hypergradients.episodes import Episodes
from bilevelrl.hypergradients.surrogate import surrogate
from tests.hypergradients.small_game import (
    ACTIONS,
    CHOICES,
    STATES,
    Game,
    Solution,
    Tensor,
    Transitions,
    all_episodes,
)

pytestmark = pytest.mark.filterwarnings(
    "ignore::bilevelrl.hypergradients.coefficients.NotCentredWarning"  # episodes are not drawn
)
SHAPE = (STATES, ACTIONS, CHOICES)


def game(
    sees: bool = True, leader_discount: float = 0.9, follower_discount: float = 0.7, **given: Tensor
) -> Game:
    generator = torch.Generator().manual_seed(3)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    tables = {
        "leader_reward": draw(*SHAPE),
        "follower_reward": draw(*SHAPE),
        "policy": torch.softmax(draw(STATES, ACTIONS), dim=1),
        "kernel": torch.softmax(draw(*SHAPE, STATES + 1), dim=3),
    }
    discounts = {"leader_discount": leader_discount, "follower_discount": follower_discount}
    return Game(**{**tables, **given}, **discounts, temperature=0.6, sees=sees)


def agents(of: Game) -> Agents:
    return Agents(of.leader_discount, of.follower_discount, of.temperature, of.sees)


def parameters(*shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(4)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_()


def exact(of: Callable[[Tensor], Game], theta: Tensor) -> Tensor:
    (gradient,) = torch.autograd.grad(of(theta).solve().leader_return, theta)
    return gradient


def follower_side(solved: Solution, at: Transitions, sees: bool, of: Game) -> Tensor:
    quality = solved.leader_quality[at.time, at.state]
    response = solved.response[at.time, at.state, at.action]
    if sees:
        quality = quality[torch.arange(len(at.time)), at.action]
    else:
        quality = torch.einsum("na,nab->nb", of.policy[at.state], quality)
    return choice_advantages(quality, response, at.choice)


def follower_rewards(solved: Solution, at: Transitions, of: Game) -> Tensor:
    chosen = solved.response[at.time, at.state, at.action, at.choice]
    return of.follower_reward[at.state, at.action, at.choice] - of.temperature * chosen.log()


def weighted_gradient(
    coefficients: Coefficients[Tensor], at: Transitions, theta: Tensor, **phi: Tensor
) -> Tensor:
    """As if every episode had come up as often as it is likely."""
    number = int(coefficients.num_episodes.sum())
    scaled = {name: number * at.weight * values for name, values in phi.items()}
    (gradient,) = torch.autograd.grad(surrogate(coefficients, **scaled), theta, retain_graph=True)
    return gradient


@pytest.mark.parametrize(("leader", "follower"), [(0.9, 0.7), (1.0, 1.0), (0.0, 0.8), (0.8, 0.0)])
@pytest.mark.parametrize("decay", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("sees", [True, False])
def test_a_leader_that_acts(sees: bool, decay: float, leader: float, follower: float) -> None:
    theta = parameters(STATES, ACTIONS)

    def of(theta: Tensor) -> Game:
        return game(sees, leader, follower, policy=torch.softmax(theta, dim=1))

    here = of(theta)
    solved, at = here.solve(), all_episodes(here)
    episodes = Episodes.read(at.terminated)
    coefficients = action_coefficients(
        episodes,
        agents(here),
        leader_advantage=generalized_advantages(
            episodes,
            here.leader_reward[at.state, at.action, at.choice],
            solved.leader_value[at.time, at.state],
            solved.leader_value[at.time + 1, at.next_state],
            discount=leader,
            decay=decay,
        ),
        follower_side_advantage=follower_side(solved, at, sees, here),
        follower_advantage=generalized_advantages(
            episodes,
            follower_rewards(solved, at, here),
            solved.follower_value[at.time, at.state],
            solved.follower_value[at.time + 1, at.next_state],
            discount=follower,
            decay=decay,
        ),
    )
    log_prob = torch.log_softmax(theta, dim=1)[at.state, at.action]
    estimate = weighted_gradient(coefficients, at, theta, phi=log_prob)
    truth = exact(of, theta)
    assert torch.allclose(estimate, truth, rtol=1e-10, atol=1e-12)
    naive = weighted_gradient(coefficients, at, theta, direct=log_prob)
    if leader and follower:  # else the follower's choice has no later, or the leader does not look
        assert (naive - truth).abs().max() > 1e-3


@pytest.mark.parametrize(("leader", "follower"), [(0.9, 0.7), (1.0, 1.0), (0.0, 0.8), (0.8, 0.0)])
@pytest.mark.parametrize("sees", [True, False])
def test_a_leader_that_sets_rewards(sees: bool, leader: float, follower: float) -> None:
    theta = parameters(*SHAPE)
    cost = 0.3

    def of(theta: Tensor) -> Game:
        paid = game().leader_reward - cost * theta
        return game(sees, leader, follower, follower_reward=theta.sin(), leader_reward=paid)

    here = of(theta)
    solved, at = here.solve(), all_episodes(here)
    coefficients = reward_coefficients(
        Episodes.read(at.terminated),
        agents(here),
        follower_side_advantage=follower_side(solved, at, sees, here),
    )
    place = (at.state, at.action, at.choice)
    estimate = weighted_gradient(
        coefficients,
        at,
        theta,
        direct=here.leader_reward[place],
        indirect=here.follower_reward[place],
    )
    assert torch.allclose(estimate, exact(of, theta), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("leader", "follower"), [(0.9, 0.7), (1.0, 1.0), (0.0, 0.8), (0.8, 0.0)])
@pytest.mark.parametrize("decay", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("sees", [True, False])
def test_a_leader_that_shapes_transitions(
    sees: bool, decay: float, leader: float, follower: float
) -> None:
    theta = parameters(*SHAPE, STATES + 1)

    def of(theta: Tensor) -> Game:
        return game(sees, leader, follower, kernel=torch.softmax(theta, dim=3))

    here = of(theta)
    solved, at = here.solve(), all_episodes(here)
    episodes = Episodes.read(at.terminated)
    place = (at.state, at.action, at.choice)
    known = here.follower_reward[place] + follower * torch.einsum(
        "ns,ns->n", here.kernel[place], solved.follower_value[at.time + 1]
    )
    entropy = follower_rewards(solved, at, here) - here.follower_reward[place]
    coefficients = transition_coefficients(
        episodes,
        agents(here),
        leader_advantage=generalized_advantages(
            episodes,
            here.leader_reward[place],
            solved.leader_value[at.time, at.state],
            solved.leader_value[at.time + 1, at.next_state],
            discount=leader,
            decay=decay,
            baseline=solved.leader_quality[(at.time, *place)],
        ),
        follower_side_advantage=follower_side(solved, at, sees, here),
        follower_advantage=generalized_advantages(
            episodes,
            here.follower_reward[place] + entropy,
            solved.follower_value[at.time, at.state],
            solved.follower_value[at.time + 1, at.next_state],
            discount=follower,
            decay=decay,
            baseline=known + entropy,
        ),
    )
    log_prob = torch.log_softmax(theta, dim=3)[(*place, at.next_state)]
    estimate = weighted_gradient(coefficients, at, theta, phi=log_prob)
    assert torch.allclose(estimate, exact(of, theta), rtol=1e-10, atol=1e-12)


def test_a_sampled_return_in_place_of_a_critic_biases_the_covariance() -> None:
    theta = parameters(STATES, ACTIONS)

    def of(theta: Tensor) -> Game:
        return game(policy=torch.softmax(theta, dim=1))

    here = of(theta)
    solved, at = here.solve(), all_episodes(here)
    episodes = Episodes.read(at.terminated)

    def advantages(reward: Tensor, value: Tensor, discount: float, decay: float) -> Tensor:
        ahead = value[at.time + 1, at.next_state]
        return generalized_advantages(
            episodes, reward, value[at.time, at.state], ahead, discount=discount, decay=decay
        )

    leader_reward = here.leader_reward[at.state, at.action, at.choice]
    coefficients = action_coefficients(
        episodes,
        agents(here),
        leader_advantage=advantages(leader_reward, solved.leader_value, 0.9, 1.0),
        follower_side_advantage=advantages(leader_reward, solved.leader_value, 0.9, 1.0),
        follower_advantage=advantages(
            follower_rewards(solved, at, here), solved.follower_value, 0.7, 1.0
        ),
    )
    log_prob = torch.log_softmax(theta, dim=1)[at.state, at.action]
    estimate = weighted_gradient(coefficients, at, theta, phi=log_prob)
    assert (estimate - exact(of, theta)).abs().max() > 0.01
