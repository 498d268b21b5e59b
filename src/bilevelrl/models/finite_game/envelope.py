"""What the envelope theorem leaves of the indirect term of a leader with its follower's reward."""

from dataclasses import replace

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.follower import BestResponse
from bilevelrl.models.finite_game.exact import game_hypergradient
from bilevelrl.models.finite_game.markov_game import MarkovGame


def entropy_indirect(
    game: MarkovGame,
    leader_policy: Floats,
    response: BestResponse,
    temperature: Floats,
    *,
    horizon: int | None,
) -> Floats:
    """Indirect coefficients of H = E[-Σ_t γ_F^t log π(b_t | s_t, a_t)], shape (R, S, A).

    They are those of a leader with γ_L = γ_F that is paid -log π, at a π held fixed: what the
    follower's reaction changes in its own entropy. The best response maximises E[Σ γ_F^t r_F] + β H
    over π, so that a leader with γ_L = γ_F and r_L = c r_F has -c β times these for its indirect
    part. With a finite `horizon` H that holds up to what comes later, O(γ_F^H).

    Args:
        game: its leader's reward and discount are not used.
        leader_policy: f(a | s), shape (R, S, A).
        response: the best response in the correct order; no probability may underflow.
        temperature: β of each run, shape (R,).
        horizon: as of `game_hypergradient`.

    Raises:
        ValueError: as `game_hypergradient`, or if a log π is not finite.
    """
    found = np.empty_like(leader_policy)
    with np.errstate(divide="ignore"):
        surprise = -np.log(response.policy)
    for run, own in enumerate(surprise):
        alone = slice(run, run + 1)
        answer = BestResponse(
            response.policy[alone], response.value[alone],
            response.accuracy[alone], response.iterations[alone],
        )  # fmt: skip
        found[alone] = game_hypergradient(
            replace(game, leader_reward=own), leader_policy[alone], answer, temperature[alone],
            discount=game.follower_discount, horizon=horizon, order="correct",
        ).indirect  # fmt: skip
    return found
