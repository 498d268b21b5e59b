"""The coupling of one step and state: how one player's values move what the others expect."""

import numpy as np
import pytest

from bilevelrl.models.logit_equilibrium.stage import choose, couple, expect
from bilevelrl.models.logit_equilibrium.stochastic_game import actions_of

SIZES = [(2, 3), (3, 2), (3, 3)]


def expected_of(utility, quality, beta, actions):
    """E(Q), shape (N, A)."""
    policy, expected = np.empty_like(quality), np.empty_like(quality)
    choose(quality, beta, policy)
    expect(utility, policy, actions, expected)
    return expected


def coupling_of(utility, quality, beta, actions):
    """K, shape (N·A, N·A)."""
    policy, expected = np.empty_like(quality), np.empty_like(quality)
    coupling = np.empty((quality.size, quality.size))
    choose(quality, beta, policy)
    couple(utility, policy, beta, actions, expected, coupling)
    return coupling


def generic(players, own):
    draw, actions = np.random.default_rng(4), actions_of(players, own)
    beta = draw.uniform(0.3, 1.0, players)
    return (
        draw.normal(size=(players, len(actions))),
        draw.normal(size=(players, own)),
        beta,
        actions,
    )


@pytest.mark.parametrize(("players", "own"), SIZES)
def test_it_is_the_derivative_of_what_players_expect(players, own):
    utility, quality, beta, actions = generic(players, own)
    coupling, step = coupling_of(utility, quality, beta, actions), 1e-5
    for place in range(quality.size):
        unit = step * np.eye(quality.size)[place].reshape(quality.shape)
        ahead, behind = (
            expected_of(utility, quality + sign * unit, beta, actions) for sign in (1.0, -1.0)
        )
        slope = (ahead - behind).ravel() / (2.0 * step)
        np.testing.assert_allclose(coupling[:, place], slope, atol=1e-9)
    for i in range(players):
        assert not coupling[i * own : (i + 1) * own, i * own : (i + 1) * own].any()


@pytest.mark.parametrize(("players", "own"), SIZES)
def test_rows_are_bounded_by_what_is_at_stake_over_the_temperature(players, own):
    utility, quality, _, actions = generic(players, own)
    # Where one player's choice decides everything, the bound is nearly met.
    decided = np.where(actions[:, 1] == 0, 1.0, 0.0)[None] * np.ones((players, 1))
    at_stake = np.ptp(utility)
    for beta in (0.2, 1.0):
        coupling = coupling_of(utility, quality, np.full(players, beta), actions)
        largest = np.abs(coupling).sum(axis=1).max()
        assert 0.0 < largest <= (players - 1) * at_stake / (2.0 * beta)
    even = coupling_of(decided, np.zeros_like(quality), np.ones(players), actions)
    assert np.abs(even).sum(axis=1).max() > 0.4


@pytest.mark.parametrize("sizes", [(15, 3), (10**9, 2), (2, 3_000)])
def test_more_joint_actions_than_a_table_may_have_are_refused(sizes):
    with pytest.raises(ValueError, match=f"num_players = {sizes[0]} with num_actions = {sizes[1]}"):
        actions_of(*sizes)
    assert actions_of(14, 2).shape == (2**14, 14)
