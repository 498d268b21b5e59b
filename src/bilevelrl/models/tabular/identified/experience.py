"""What one leader remembers of what it saw, as views of arrays that all runs share."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bilevelrl.core.arrays import Floats
from bilevelrl.core.batches import TabularObservations
from bilevelrl.core.estimator import Memory
from bilevelrl.models.tabular.identified.choices import Choices
from bilevelrl.models.tabular.identified.kernel import SeenTransitions
from bilevelrl.models.tabular.identified.search import POOL, Pool

#: θ whose choices are remembered.
HISTORY = 200
#: Weights of choices from one plan to the next: a follower that plays best responses tells most if
#: none is forgotten, one that learns if what it did before is.
MEMORIES = (1.0, 0.7)
#: Standard errors by which a memory that forgets has to foretell better than one that does not to
#: be believed: δ from fewer choices is noisier, and that of two which foretell alike either may
#: have been the luckier.
BETTER = 2.0


class Experience(NamedTuple):
    """Of one run; numbers have shape (1,).

    Attributes:
        moves: transitions from s by a to s', shape (S, A, S).
        ends: episodes that ended in s, shape (S,).
        starts: episodes that started in s, shape (S,).
        leader_rest: the leader's rewards for (s, a) beyond what θ added, in sum, shape (S, A).
        follower_rest: the follower's, as far as the leader saw them, shape (S, A).
        thetas: the last θ that were played, the newest last, shape (H, D).
        parts: what each of them added to the follower's reward, shape (H, S, A).
        times: choices under each of them, shape (H, S, A).
        values: the follower's soft values under each of them, as identified last, shape (H, S).
        ages: plans since, shape (H,).
        used: how many of the H there are.
        corrections: δ as found from all choices, and from recent ones, shape (M, S, A).
        foretold: how much better each of them foretold later choices than the first, as a log
            likelihood ratio, shape (M,).
        doubt: the variance of that, shape (M,).
        scores: how much the follower has been through s while the leader explored, shape (S,).
        pool: candidates, the best first, shape (P, D).
        predicted: their J, shape (P,), -inf where there is none.
        playing: the θ that was chosen last, shape (D,).
        recommended: the best of what was played, as foretold last, shape (D,).
        direct: part of the identified model's hypergradient there, shape (D,).
        indirect: the other part.
        planned: transitions at the last plan, 0 before the first.
        searched: transitions at the last search from everywhere.
        promised: J of the best that it found, as predicted then.
    """

    moves: Floats
    ends: Floats
    starts: Floats
    leader_rest: Floats
    follower_rest: Floats
    thetas: Floats
    parts: Floats
    times: Floats
    values: Floats
    ages: Floats
    used: Floats
    corrections: Floats
    foretold: Floats
    doubt: Floats
    scores: Floats
    pool: Floats
    predicted: Floats
    playing: Floats
    recommended: Floats
    direct: Floats
    indirect: Floats
    planned: Floats
    searched: Floats
    promised: Floats

    @property
    def transitions(self) -> float:
        """Counted so far."""
        return float(self.moves.sum())

    @property
    def tried(self) -> Floats:
        """n(s, a), shape (S, A)."""
        tried: Floats = self.moves.sum(axis=2)
        return tried

    @property
    def seen(self) -> SeenTransitions:
        """What the dynamics are identified from."""
        return SeenTransitions(self.moves, self.ends, self.starts / self.starts.sum())

    @property
    def played(self) -> Floats:
        """The θ whose choices are remembered, shape (B, D)."""
        return self.thetas[HISTORY - int(self.used[0]) :]

    @property
    def choices(self) -> Choices:
        """What the follower's wishes are identified from."""
        last = slice(HISTORY - int(self.used[0]), HISTORY)
        return Choices(self.parts[last], self.times[last], self.values[last])

    @property
    def correction(self) -> Floats:
        """δ of the first memory, or of one that surely foretold better, shape (S, A)."""
        surely = self.foretold - BETTER * np.sqrt(self.doubt)
        best: Floats = self.corrections[int(np.argmax(surely))]
        return best

    def weights(self, memory: float) -> Floats:
        """Of the choices under each θ that is remembered, shape (B,)."""
        weights: Floats = memory ** self.ages[HISTORY - int(self.used[0]) :]
        return weights

    @property
    def visited(self) -> NDArray[np.bool_]:
        """Whether anything was tried in s, shape (S,)."""
        visited: NDArray[np.bool_] = self.tried.sum(axis=1) > 0.0
        return visited

    @property
    def candidates(self) -> Floats:
        """θ of the pool, shape (N, D), N possibly 0."""
        return self.pool[np.isfinite(self.predicted)]

    def mean_leader_rest(self) -> Floats:
        """r_L(s, a) beyond what θ adds; of what was never tried, the state's mean; shape (S, A)."""
        return _mean(self.leader_rest, self.tried)

    def mean_follower_rest(self) -> Floats:
        """r_F(s, a) beyond what θ adds, 0 where the leader does not see it; shape (S, A)."""
        return _mean(self.follower_rest, self.tried)

    def keep(self, pool: Pool) -> None:
        """These candidates instead of all others."""
        number = len(pool.theta)
        self.predicted[:] = -np.inf
        self.pool[:number], self.predicted[:number] = pool.theta, pool.predicted

    def turn_to(self, theta: Floats, part: Floats) -> None:
        """The follower answers a θ, shape (D,), from now on; the oldest is forgotten."""
        same = self.used[0] > 0.0 and np.array_equal(self.thetas[-1], theta)
        if same and self.ages[-1] == 0.0:
            return
        for array in (self.thetas, self.parts, self.times, self.values, self.ages):
            array[:-1] = array[1:]
        self.thetas[-1], self.parts[-1], self.times[-1], self.ages[-1] = theta, part, 0.0, 0.0
        self.used[0] = min(HISTORY, self.used[0] + 1.0)


def _mean(total: Floats, times: Floats) -> Floats:
    """Of (s, a), else of the state, else 0."""
    of_state = total.sum(axis=1, keepdims=True) / np.maximum(times.sum(axis=1, keepdims=True), 1.0)
    return np.where(times > 0.0, total / np.maximum(times, 1.0), of_state)


def nothing_seen(num_runs: int, shape: tuple[int, int], num_parameters: int) -> Memory:
    """Memory of `num_runs` experiences of (S, A) = `shape` before the first batch."""
    states, actions = shape
    shapes: dict[str, tuple[int, ...]] = {
        "moves": (states, actions, states), "ends": (states,), "starts": (states,),
        "leader_rest": shape, "follower_rest": shape, "thetas": (HISTORY, num_parameters),
        "parts": (HISTORY, *shape), "times": (HISTORY, *shape), "values": (HISTORY, states),
        "ages": (HISTORY,), "used": (1,), "corrections": (len(MEMORIES), *shape),
        **dict.fromkeys(("foretold", "doubt"), (len(MEMORIES),)), "scores": (states,),
        "pool": (POOL, num_parameters), "predicted": (POOL,),
        **dict.fromkeys(("playing", "recommended", "direct", "indirect"), (num_parameters,)),
        "planned": (1,), "searched": (1,), "promised": (1,),
    }  # fmt: skip
    memory = {name: np.zeros((num_runs, *shapes[name])) for name in Experience._fields}
    memory["predicted"][:] = -np.inf
    return memory


def experience_of(memory: Memory, run: int) -> Experience:
    """Views of one run's part of the memory."""
    return Experience(*(memory[name][run] for name in Experience._fields))


def remember(
    own: Experience, batch: TabularObservations, run: int, leader: Floats, follower: Floats
) -> None:
    """Count a run's batch, of whose rewards θ added `leader` and `follower`, shapes (S, A)."""
    state, action = batch.state[run].ravel(), batch.action[run].ravel()
    np.add.at(own.moves, (state, action, batch.following[run].ravel()), 1.0)
    np.add.at(own.times[-1], (state, action), 1.0)
    np.add.at(own.ends, state[batch.terminated[run].ravel()], 1.0)
    np.add.at(own.starts, state[batch.time[run].ravel() == 0], 1.0)
    rest = batch.leader_reward[run].ravel() - leader[state, action]
    np.add.at(own.leader_rest, (state, action), rest)
    if batch.follower_reward is not None:
        rest = batch.follower_reward[run].ravel() - follower[state, action]
        np.add.at(own.follower_rest, (state, action), rest)
