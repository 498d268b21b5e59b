"""A house that learns by soft actor-critic, from the hours that it lives through.

It knows the hour and its charge, acts, and sees what the hour cost and where the charge went; see
`models.deep.sac` for the rule and `continuous` for its actions. Three things keep values small, and
change no choice: an hour is paid what it saves against leaving the battery alone; what an action is
rounded to costs `log_width`; and the mean of what it is paid, with its entropy, is taken off, as in
average-reward learning. The tariff is public: what was lived through under another one is paid at
the prices that hold now.
"""

from dataclasses import dataclass

import numpy as np

from bilevelrl.core.arrays import Floats, Index
from bilevelrl.core.follower import FollowerDiverged
from bilevelrl.models.deep.networks import Floats32
from bilevelrl.models.deep.sac import SoftActorCritic, Transitions, log_density
from bilevelrl.problems.home_battery.continuous import ContinuousActions
from bilevelrl.problems.home_battery.profiles import HOURS
from bilevelrl.problems.home_battery.sac_settings import HouseholdSacParams

#: An agent whose losses leave this range has diverged.
LARGEST_LOSS = 1e8
#: Weight of the newest hour of all batteries in the mean that is taken off.
_NEWEST = 0.02


def observations(num_charges: int, harmonics: int) -> Floats32:
    """What is seen of an hour and a charge, shape (24 C, 2 n + 1), hours slowest.

    Cosines and sines of `harmonics` n times the hour's angle, and the charge in [-1, 1].
    """
    angle = 2.0 * np.pi / HOURS * np.outer(np.arange(HOURS), np.arange(1, harmonics + 1))
    waves = np.concatenate([np.cos(angle), np.sin(angle)], axis=1)
    charge = np.linspace(-1.0, 1.0, num_charges)[:, None]
    table = np.concatenate([np.repeat(waves, num_charges, axis=0), np.tile(charge, (HOURS, 1))], 1)
    return table.astype(np.float32)


@dataclass(frozen=True, eq=False)
class _Lived:
    # The last hours of E batteries, rows of E, as states, and the u that was chosen.
    state: Index
    action: Index
    following: Index
    share: Floats32

    @classmethod
    def room(cls, rows: int, batteries: int) -> "_Lived":
        state, action, following = (np.zeros((rows, batteries), np.int64) for _ in range(3))
        return cls(state, action, following, np.zeros((rows, batteries), np.float32))


class SacHouse:
    """One house; `n_envs` batteries of it are lived with at the same time.

    Attributes:
        steps: hours that it has learned from.
    """

    def __init__(
        self,
        actions: ContinuousActions,
        temperature: float,
        discount: float,
        options: HouseholdSacParams,
        numbers: np.random.Generator,
    ) -> None:
        """Networks as they are before the first hour, and empty batteries.

        Args:
            actions: what it can do, in the game on the grid.
            temperature: β, in $.
            discount: γ_F per hour.
            options: of the rule.
            numbers: of networks, exploration and charges.
        """
        self.steps = 0
        self._actions, self._options, self._numbers = actions, options, numbers
        self._temperature = temperature / options.reward_scale
        self._observed = observations(len(actions.grid.charge), options.harmonics)
        self._learner = SoftActorCritic(
            self._observed.shape[1],
            1,
            hidden=options.net_arch,
            activation=options.activation_fn,
            critics=options.n_critics,
            temperature=self._temperature,
            discount=discount,
            target_rate=options.tau,
            numbers=numbers,
        )
        batteries = options.n_envs
        self._hour, self._charge = np.arange(batteries) % HOURS, np.zeros(batteries, np.int64)
        self._lived = _Lived.room(max(1, options.buffer_size // batteries), batteries)
        self._rows, self._usual = 0, 0.0

    def learn(self, reward: Floats, steps: int) -> None:
        """Live for `steps` hours of all batteries together under r_F, shape (24, C, A), in $.

        Raises:
            FollowerDiverged: if a parameter is no longer finite, or a loss explodes.
        """
        idle = reward.shape[2] // 2
        saved = (reward - reward[:, :, idle : idle + 1]) / self._options.reward_scale
        paid = (saved - self._temperature * self._actions.log_width).reshape(-1, reward.shape[2])
        largest = 0.0
        with np.errstate(all="ignore"):  # what is not finite is noticed below
            for _ in range(-(-steps // self._options.n_envs)):
                self._live(paid)
                if self.steps > self._options.learning_starts:
                    for _ in range(self._options.gradient_steps):
                        largest = max(largest, self._improve(paid))
        if not largest < LARGEST_LOSS or not self._learner.finite():
            raise FollowerDiverged(
                f"SAC after {self.steps} hours: a loss of {largest:g}, which must stay finite and "
                f"below {LARGEST_LOSS:g}"
            )

    def policy(self) -> Floats:
        """π(a | h, c) of the game's actions, shape (24, C, A)."""
        mean, log_deviation = (
            each.astype(np.float64).reshape(HOURS, -1)
            for each in self._learner.gaussian(self._observed)
        )
        return self._actions.probabilities(mean, np.exp(log_deviation))

    def _live(self, paid: Floats) -> None:
        grid, charges = self._actions.grid, len(self._actions.grid.charge)
        state = self._hour * charges + self._charge
        explores = self.steps < self._options.learning_starts
        if explores:
            share = self._numbers.uniform(-1.0, 1.0, len(state)).astype(np.float32)
        else:
            mean, log_deviation = self._learner.gaussian(self._observed[state])
            normals: Floats32 = self._numbers.standard_normal(mean.shape, dtype=np.float32)
            noise: Floats32 = np.exp(log_deviation) * normals
            raw = mean + noise
            share = np.tanh(raw)[:, 0]
        action = self._actions.chosen(self._charge, share)
        if not explores:
            bonus = -self._temperature * log_density(raw, log_deviation, normals)
            self._usual += _NEWEST * (float((paid[state, action] + bonus).mean()) - self._usual)
        above = self._numbers.random(len(state)) < grid.share[self._charge, action]
        self._charge = grid.lower[self._charge, action] + above
        self._hour = (self._hour + 1) % HOURS
        row = self._rows % len(self._lived.state)
        self._lived.state[row], self._lived.action[row] = state, action
        self._lived.following[row] = self._hour * charges + self._charge
        self._lived.share[row] = share
        self._rows += 1
        self.steps += len(state)

    def _improve(self, paid: Floats) -> float:
        lived, count = self._lived, self._options.batch_size
        filled = min(self._rows, len(lived.state)) * lived.state.shape[1]
        chosen = self._numbers.integers(filled, size=count)
        state, action, following = (
            each.reshape(-1)[chosen] for each in (lived.state, lived.action, lived.following)
        )
        seen = Transitions(
            self._observed[state],
            lived.share.reshape(-1)[chosen, None],
            (paid[state, action] - self._usual).astype(np.float32),
            self._observed[following],
            np.ones(count, np.float32),
        )
        normals = self._numbers.standard_normal((2, count, 1), dtype=np.float32)
        losses = self._learner.step(seen, normals, self.step_size)
        return max(abs(losses.critic), abs(losses.actor))

    @property
    def step_size(self) -> float:
        """Adam's, after the hours so far."""
        options = self._options
        if options.final_learning_rate is None:
            return options.learning_rate
        ratio = options.final_learning_rate / options.learning_rate
        return float(options.learning_rate * ratio ** min(1.0, self.steps / options.decay_steps))
