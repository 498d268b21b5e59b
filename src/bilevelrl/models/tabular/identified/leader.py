"""A leader that identifies its model from what it sees, and plays what is best or best to know.

Until it has found out where its reward is, it acts on the states that the follower visits most, so
that the follower goes elsewhere. From then on it plans again whenever it knows enough more: it
identifies the dynamics (`kernel`), corrects the prediction of its follower (`choices`), climbs from
its candidates, or from everywhere (`search`), and plays the best, or one that may be better than it
seems (`trials`). It recommends the best of what it played.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bilevelrl.core.arrays import Floats
from bilevelrl.core.batches import TabularObservations
from bilevelrl.core.estimator import Estimate, Memory
from bilevelrl.core.seeding import Streams
from bilevelrl.core.trace import sampled_return
from bilevelrl.models.tabular.exact import leader_return
from bilevelrl.models.tabular.identified.choices import Choices, correct, log_ratio
from bilevelrl.models.tabular.identified.experience import (
    MEMORIES,
    Experience,
    experience_of,
    nothing_seen,
    remember,
)
from bilevelrl.models.tabular.identified.game import IdentifiedProblem, KnownRewards
from bilevelrl.models.tabular.identified.kernel import IdentifiedKernel, identify
from bilevelrl.models.tabular.identified.search import (
    Pool,
    follower_of,
    hypergradient,
    refine,
    search,
)
from bilevelrl.models.tabular.identified.trials import Wishes, choose
from bilevelrl.models.tabular.watched_covariance import mean_reward

#: Score of doing nothing against acting on any state.
NOTHING = 50.0
#: Share of what the last search promised by which the best prediction has to move, up or down,
#: before the model counts as another one, in which better candidates may be elsewhere.
SURPRISING = 0.25


@dataclass(frozen=True)
class Conduct:
    """How a leader goes about it.

    Attributes:
        target_visits: of the most rewarding state that it knows, before it plans.
        growth: share by which its transitions have to grow before it plans again.
        curiosity: see `trials.choose`.
        least: transitions between plans, if that is more.
        halving: see `trials.choose`.
        wish: scale of what the follower may want that the leader does not know.
        end_wish: the same where episodes end.
    """

    target_visits: int = 20
    growth: float = 0.1
    curiosity: float = 0.5
    least: int = 400
    halving: float = 1000.0
    wish: float = 0.003
    end_wish: float = 1.0


@dataclass(frozen=True, eq=False)
class IdentifiedLeader:
    """Implements `sampled.Learner`; what the follower answers is not looked at.

    Attributes:
        known: what θ does to the rewards.
        shape: (S, A).
        temperature: β of each run, shape (R,).
        discount: γ, of leader and follower alike.
        conduct: how it goes about it.
    """

    known: KnownRewards
    shape: tuple[int, int]
    temperature: Floats
    discount: float
    conduct: Conduct = Conduct()

    def start(self, streams: Streams) -> Memory:
        """Nothing seen."""
        return nothing_seen(len(streams.seeds), self.shape, self._nothing().shape[1])

    def acts_at_random(self, memory: Memory) -> bool:
        """The leader does not act."""
        del memory
        return False

    def learn(
        self,
        theta: Floats,
        response: Any,
        batch: TabularObservations,
        memory: Memory,
        streams: Streams,
    ) -> Estimate:
        """The exact hypergradient of the model as identified before, and what to play next."""
        del response, streams
        direct, indirect = np.zeros_like(theta), np.zeros_like(theta)
        proposal, recommended = theta.copy(), theta.copy()
        leader, follower = self.known.leader_part(theta), self.known.follower_part(theta)
        for run, beta in enumerate(self.temperature.tolist()):
            own = experience_of(memory, run)
            own.turn_to(theta[run], follower[run])
            remember(own, batch, run, leader[run], follower[run])
            if self._knows_little(own):
                proposal[run] = self._elsewhere(own, batch, run)
                recommended[run] = self._nothing()[0]
                continue
            direct[run], indirect[run] = own.direct, own.indirect
            if own.transitions >= float(own.planned[0]) + self._until_next_plan(own):
                self._plan(own, beta)
            proposal[run], recommended[run] = own.playing, own.recommended
        return Estimate(
            direct,
            indirect,
            sampled_return(batch, mean_reward(batch, self.shape), self.discount),
            env_steps=batch.state[0].size,
            proposal=proposal,
            recommended=recommended,
        )

    def _nothing(self) -> Floats:
        return self.known.spread(np.zeros((1, self.shape[0])), NOTHING)

    def _knows_little(self, own: Experience) -> bool:
        if own.planned[0] > 0.0:
            return False
        rest, times = own.mean_leader_rest().max(axis=1), own.tried.sum(axis=1)
        best = int(rest.argmax())
        enough = rest[best] > 0.0 and times[best] >= self.conduct.target_visits
        return not (enough and own.ends.any())

    def _elsewhere(self, own: Experience, batch: TabularObservations, run: int) -> Floats:
        """Acts on the states that the follower was in most, but where episodes start or end."""
        episodes = np.cumsum(batch.time[run] == 0, axis=1)
        episodes += np.arange(len(episodes))[:, None] * (episodes.max() + 1)
        through = np.unique(np.stack([batch.state[run].ravel(), episodes.ravel()]), axis=1)[0]
        share = np.bincount(through, minlength=self.shape[0]) / len(np.unique(episodes))
        share[(own.ends > 0.0) | (own.starts > 0.0)] = 0.0
        own.scores[:] += min(1.0, batch.state[run].size / 1000.0) * share
        top = own.scores.max()
        away: Floats = self.known.spread(6.0 * (own.scores - top)[None], -6.0 * top - 5.0)[0]
        return away

    def _plan(self, own: Experience, beta: float) -> None:
        kernel = identify(own.seen, self.discount)
        self._correct(own, kernel, beta)
        problem = IdentifiedProblem(
            kernel.model,
            self.known,
            own.mean_follower_rest() + own.correction,
            own.mean_leader_rest(),
        )
        candidates = np.concatenate([own.candidates, own.thetas[-1:]])
        found = self._found(own, problem, candidates, beta)
        own.keep(found)
        own.planned[0] = own.transitions
        own.ages[:] += 1.0
        own.playing[:] = choose(
            problem, kernel, self._wishes(own), found, own.choices, beta,
            curiosity=self.conduct.curiosity, halving=self.conduct.halving,
        )  # fmt: skip
        own.recommended[:] = self._best_played(own, problem, beta)
        truth = hypergradient(problem, own.playing[None], beta)
        own.direct[:], own.indirect[:] = truth.direct[0], truth.indirect[0]

    def _best_played(self, own: Experience, problem: IdentifiedProblem, beta: float) -> Floats:
        """The best of what was played, or doing nothing, shape (D,).

        The best candidate is chosen for what the model gets wrong about it too; about what was
        played the follower's choices have corrected the model.
        """
        theta = np.concatenate([self._nothing(), own.played])
        follower = follower_of(problem, beta, len(theta))
        start = np.concatenate([follower.start(1), own.choices.value])
        policy = follower.respond(problem.follower_reward(theta), start).policy
        best: Floats = theta[int(leader_return(problem, theta, policy).argmax())]
        return best

    @staticmethod
    def _found(
        own: Experience, problem: IdentifiedProblem, candidates: Floats, beta: float
    ) -> Pool:
        if own.transitions < 2.0 * own.searched[0]:
            refined = refine(problem, candidates, beta)
            moved = abs(refined.predicted[0] - own.promised[0])
            if moved <= SURPRISING * abs(own.promised[0]):
                return refined
        found = search(problem, candidates, own.visited, beta)
        own.searched[0], own.promised[0] = own.transitions, found.predicted[0]
        return found

    def _until_next_plan(self, own: Experience) -> float:
        return max(float(self.conduct.least), self.conduct.growth * float(own.planned[0]))

    def _wishes(self, own: Experience) -> Wishes:
        scale = np.full(self.shape, self.conduct.wish)
        scale[own.ends > 0.0] = 0.0
        return Wishes(scale)

    def _correct(self, own: Experience, kernel: IdentifiedKernel, beta: float) -> None:
        seen = own.choices
        choices = replace(seen, reward=seen.reward + own.mean_follower_rest())
        self._compare(own, kernel, choices, beta)
        for number, memory in enumerate(MEMORIES):
            correction = own.corrections[number]
            times = choices.times * own.weights(memory)[:, None, None]
            spread = self._wishes(own).spread(times.sum(axis=0))
            spread[own.ends > 0.0] = self.conduct.end_wish
            correction[:] = correct(
                kernel.model, replace(choices, times=times), correction, spread, beta
            )

    @staticmethod
    def _compare(own: Experience, kernel: IdentifiedKernel, choices: Choices, beta: float) -> None:
        """How the memories foretold what was chosen since the last plan, which none has seen."""
        new = own.weights(0.0) > 0.0
        since = Choices(choices.reward[new], choices.times[new], choices.value[new])
        first = own.corrections[0]
        for number, correction in enumerate(own.corrections):
            ahead, variance = log_ratio(kernel.model, since, first, correction, beta)
            own.foretold[number] = 0.5 * own.foretold[number] + ahead
            own.doubt[number] = 0.25 * own.doubt[number] + variance
