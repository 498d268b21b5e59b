"""Returns and weights of a tabular batch by hand: episodes of one step, and cut ones."""

import numpy as np

from bilevelrl.core.batches import Batch
from bilevelrl.core.trace import episode_weight, sampled_return

GAMMA = 0.5
#: Episodes: one step, three steps, one that the end of the batch cuts after two; then one of six.
TIME = np.array([[[0, 0, 1, 2, 0, 1], [0, 1, 2, 3, 4, 5]]], np.int16)
ENDED = np.array([[[1, 0, 0, 1, 0, 0], [0, 0, 0, 0, 0, 1]]], np.bool_)
STATE = np.array([[[0, 1, 0, 1, 1, 1], [1, 1, 0, 0, 0, 1]]], np.int16)
REWARD = np.array([[[3.0], [5.0]]])
BATCH = Batch(STATE, np.zeros_like(STATE, np.int8), STATE, TIME, ENDED, np.zeros_like(ENDED))


def test_the_sampled_return_is_the_mean_over_episodes_that_started() -> None:
    episodes = [[3.0], [5.0, 3.0, 5.0], [5.0, 5.0], [5.0, 5.0, 3.0, 3.0, 3.0, 5.0]]
    returns = [sum(GAMMA**t * r for t, r in enumerate(each)) for each in episodes]
    np.testing.assert_allclose(sampled_return(BATCH, REWARD, GAMMA), [np.mean(returns)])


def test_a_step_weighs_one_over_the_episodes_it_was_seen_of_or_that_ended() -> None:
    # Episodes begin 6, 5, 2 and 6 steps before the batch ends.
    np.testing.assert_allclose(
        episode_weight(BATCH, "started_episodes"), [1.0 / np.array([4, 4, 3, 3, 3, 2])]
    )
    np.testing.assert_allclose(
        episode_weight(BATCH, "finished_episodes"), np.full((1, 6), 1.0 / 3.0)
    )
