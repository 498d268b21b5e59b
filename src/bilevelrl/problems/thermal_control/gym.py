"""Gymnasium view of ThermalControl: what the follower faces in a building that is built."""

import gymnasium
import numpy as np
from numpy.typing import ArrayLike

from bilevelrl.core.arguments import numbers_of, reals
from bilevelrl.core.arrays import Floats
from bilevelrl.problems.thermal_control.problem import ThermalControl


class ThermalControlEnv(gymnasium.Env[Floats, Floats]):
    """ThermalControl as a single-agent problem with the leader's θ frozen.

    ## Description
    Four zones in a ring that exchange heat, and two units that heat and cool them. The follower
    keeps every zone near its set point and pays for effort. The leader has chosen how well each
    zone is insulated (α) and how much air flows between neighbours (β): the dynamics depend on
    them, the follower's reward does not.

    ## Action Space
    `Box(-inf, inf, (m,), float64)`: the power of each unit; m = 2 in the published game. **Actions
    are not clipped**: under the optimal policy at θ = 0, 47 % of the first ones of unit 1 exceed 10
    in size.

    ## Observation Space
    `Box(-inf, inf, (n,), float64)`: the deviation of each zone from its set point; n = 4 in the
    published game.

    ## Starting State
    Normal, independent in every zone, with mean 0 and standard deviation 5; not clipped.

    ## Transitions
    s' = clip(A(α, β) s + B a, -30, 30) + 0.02 z with standard normal z: the mean is clipped, and
    the noise is added afterwards.

    ## Rewards
    For the state in which the step *begins*: -(sᵀ Q s + aᵀ R a). `info["leader_reward"]` is the
    leader's of the same step, `info["stability"]` (minus the variance over the zones),
    `info["energy"]`, `info["insulation"]` and `info["airflow"]` (sums of squares) are what it
    weighs.

    ## Episode End
    Never by termination. Truncation: at step 100. The last step returns the state that was reached.

    ## Arguments
    `theta`: the logits of α and of β, one after the other, shape (2 n,); zeros if omitted (α = β =
    1/2). Infinite ones stand for 0 and 1.
    All other keywords are fields of `ThermalControl`, as plain numbers; published ones if omitted.
    `gymnasium.make` keeps `max_episode_steps` for itself and can only shorten episodes with it; to
    lengthen them, construct the class.

    ## Version History
    v0: the building of arXiv 2603.14867.
    """

    # Not a ClassVar, because Gymnasium does not declare it as one.
    metadata: dict[str, list[str]] = {"render_modes": []}  # noqa: RUF012

    def __init__(self, theta: ArrayLike | None = None, **options: object) -> None:
        """See the class for the arguments.

        Raises:
            ValueError: if `theta` is not 2 n numbers, or no `ThermalControl` has such numbers.
            TypeError: if there is no such field.
        """
        self.problem = ThermalControl.published(**numbers_of(ThermalControl, options))
        self.theta = self._checked(theta)
        zones, units = self.problem.input_matrix.shape
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (zones,), np.float64)
        self.action_space = gymnasium.spaces.Box(-np.inf, np.inf, (units,), np.float64)
        row = self.theta[None]
        self._drift = self.problem.dynamics(row)[0]
        design = self.problem.design
        self._configuration_cost = float(design.configuration_cost(row)[0])
        levels = zip(("insulation", "airflow"), design.levels(row), strict=True)
        self._squares = {name: float(np.square(level).sum()) for name, level in levels}
        self._state, self._time, self._running = np.zeros(zones), 0, False

    def _checked(self, theta: ArrayLike | None) -> Floats:
        size = self.problem.num_parameters
        array = np.zeros(size) if theta is None else reals("theta", theta, f"{size} numbers")
        if array.shape != (size,) or np.isnan(array).any():
            raise ValueError(f"theta must be {size} numbers, got {theta!r}")
        return array

    def reset(
        self, *, seed: int | None = None, options: dict[str, object] | None = None
    ) -> tuple[Floats, dict[str, float]]:
        """Draw a new state; there are no options."""
        super().reset(seed=seed, options=options)
        normals = self.np_random.standard_normal(self.problem.num_zones)
        self._state = self.problem.initial_deviation * normals
        self._time, self._running = 0, True
        return self._state.copy(), {}

    def step(self, action: Floats) -> tuple[Floats, float, bool, bool, dict[str, float]]:
        """Heat and cool for one step.

        Raises:
            ResetNeeded: if the episode has ended or never began.
            ValueError: if the action is not m finite numbers.
        """
        if not self._running:
            raise gymnasium.error.ResetNeeded("call reset() before the first step of an episode")
        if np.shape(action) != self.action_space.shape or not np.isfinite(action).all():
            raise ValueError(f"action must be {self.action_space.shape} finite, got {action!r}")
        problem, here, played = self.problem, self._state, np.asarray(action, np.float64)
        reward = float(problem.follower_reward(here, played))
        operating = float(problem.operating_reward(here, played))
        info = {
            "leader_reward": operating - self._configuration_cost,
            "stability": -float(here.var()),
            "energy": float(np.square(played).sum()),
            **self._squares,
        }
        mean = self._drift @ here + problem.input_matrix @ played
        noise = problem.noise * self.np_random.standard_normal(problem.num_zones)
        self._state = np.clip(mean, -problem.state_limit, problem.state_limit) + noise
        self._time += 1
        truncated = self._time >= problem.max_episode_steps
        self._running = not truncated
        return self._state.copy(), reward, False, truncated, info
