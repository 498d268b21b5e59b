"""Trains any leader in PyTorch through followers that it only plays with."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch

from bilevelrl.core.arrays import Floats
from bilevelrl.core.ascent import Adam
from bilevelrl.core.global_random import OwnRandomNumbers
from bilevelrl.core.observations import Information
from bilevelrl.core.seeding import Streams, stream
from bilevelrl.core.training import Progress, advance
from bilevelrl.hypergradients.coefficients import Agents, Channel
from bilevelrl.trainer import checkpoints, parameters
from bilevelrl.trainer.build import Options, make_estimator
from bilevelrl.trainer.callbacks import AnyCallback, Callbacks, ProgressBar
from bilevelrl.trainer.checks import check_follower, check_leader
from bilevelrl.trainer.estimator import Answer, EstimatorName
from bilevelrl.trainer.kinds import expect_number
from bilevelrl.trainer.simulation import Follower
from bilevelrl.trainer.wiring import check_wiring


@dataclass(frozen=True, eq=False)
class _Meeting:
    """Implements `core.training.Interaction` for one leader and its follower."""

    leader: torch.nn.Module
    follower: Follower
    first_steps: int
    steps: int

    def start(self, streams: Streams) -> tuple[Floats, dict[str, int]]:
        del streams
        return parameters.read(self.leader), {"answers": 0}

    def respond(self, theta: Floats, memory: dict[str, int], streams: Streams) -> Answer:
        del streams
        parameters.write(self.leader, theta)
        steps = self.steps if memory["answers"] else self.first_steps
        taken = _learn(self.follower, steps) if steps else 0
        memory["answers"] += 1
        return Answer(self.follower, taken, np.full(1, np.nan))


def _learn(follower: Any, steps: int) -> int:
    """Let it learn; the transitions that it took, as far as it counts them."""
    before = getattr(follower, "num_timesteps", None)
    if "reset_num_timesteps" in inspect.signature(follower.learn).parameters:
        follower.learn(steps, reset_num_timesteps=False)  # Stable-Baselines3 would begin anew
    else:
        follower.learn(steps)
    return steps if before is None else int(follower.num_timesteps - before)


class BilevelTrainer:
    """Gradient ascent of a leader on its return J(θ), through what its follower makes of it.

    One update: the follower learns against the leader as it is, both play whole episodes, the
    leader's critics and its belief learn from them, and θ takes one step of Adam along the estimate
    of dJ/dθ (arXiv 2603.14867). It is the training loop of this project's own results
    (`core.training`), for one run.

    Attributes:
        leader: the module.
        follower: as it was given.
        settings: the arguments that are names or numbers, to be logged.
        history: one dictionary of numbers per update.
        env_steps: transitions that the leader played so far.
        follower_steps: transitions that the follower learned from so far.
    """

    def __init__(
        self,
        leader: torch.nn.Module,
        env: gymnasium.Env[Any, Any] | Any | Sequence[Any],
        follower: Follower,
        *,
        channel: Channel,
        agents: Agents,
        estimator: EstimatorName = "bc_hg",
        information: Information = "rewards",
        critic: str | Mapping[str, Any] | None = None,
        belief: str | Mapping[str, Any] | None = None,
        episodes_per_update: int = 16,
        follower_steps: int = 1000,
        first_follower_steps: int | None = None,
        step_size: float = 3e-3,
        max_gradient_norm: float | None = None,
        advantage_decay: float = 0.95,
        answers: int = 16,
        max_episode_steps: int | None = None,
        seed: int = 0,
    ) -> None:
        """Check everything; nothing is played before `learn`.

        Args:
            leader: a policy that maps observations (N, ...) to a distribution over its actions
                (`channel="actions"`); or a module that is called with observations, actions and
                next observations, each (N, ...), and returns what it adds to the follower's
                reward, (N,), or a pair with what it adds to its own first (`"rewards"`), or
                log p_θ(s' | s, b), (N,) (`"transitions"`). Discrete elements come as integers,
                those of a `Box` as float32.
            env: where both meet, or several equal ones, which are stepped together: a PettingZoo
                AEC environment with agents "leader" and "follower", who move in turn
                (`"actions"`), or a Gymnasium environment of the follower which reads the leader
                itself, as `WithIncentives` does, and whose `info` holds the `leader_reward` of
                every step. The follower learns in an environment of its own.
            follower: has `learn(steps)` and `predict(observations)`, observations with a leading
                axis; Stable-Baselines3's agents are such.
            channel: what θ acts through: "actions", "rewards" or "transitions".
            agents: discounts, and the temperature of the follower's entropy.
            estimator: "bc_hg", or "naive" for the direct term alone.
            information: "full" reads the follower's policy, "rewards" its rewards and choices,
                "actions" its choices alone, which is enough where the leader sets rewards.
            critic: kind "table", "random_features" or "network", see `Table`, `RandomFeatures`,
                `Network`; None takes a table where it fits, else random features.
            belief: of the follower's policy, unless it is read: the same kinds.
            episodes_per_update: whole episodes of a batch.
            follower_steps: transitions that the follower has before every answer but the first.
            first_follower_steps: and before the first; None takes `follower_steps`.
            step_size: of Adam.
            max_gradient_norm: clip of the estimate's norm; None clips nothing.
            advantage_decay: λ of sampled advantages, see `generalized_advantages`.
            answers: draws per transition that A_L is centred with, of a continuous follower.
            max_episode_steps: where episodes are cut, beside what the environment says.
            seed: of everything that the trainer draws.

        Raises:
            TypeError: an argument is of the wrong type, or the leader returns something else.
            ValueError: arguments do not go together, or an environment lacks something; the
                message names the argument, its value and what is expected.
        """
        check_leader(leader)
        check_follower(follower)
        for name, value, least in (
            ("episodes_per_update", episodes_per_update, 1),
            ("follower_steps", follower_steps, 0),
            ("answers", answers, 1),
            ("seed", seed, 0),
        ):
            expect_number(name, value, least=least, most=2**32 - 1, whole=True)
        for name, limit in (
            ("first_follower_steps", first_follower_steps),
            ("max_episode_steps", max_episode_steps),
        ):
            if limit is not None:
                expect_number(name, limit, least=1, whole=True)
        expect_number("step_size", step_size, above=0.0)
        if max_gradient_norm is not None:
            expect_number("max_gradient_norm", max_gradient_norm, above=0.0)
        expect_number("advantage_decay", advantage_decay, least=0.0, most=1.0)
        if not isinstance(agents, Agents):
            raise TypeError(f"agents is a {type(agents).__name__}; expected bilevelrl.Agents")
        self.leader, self.follower = leader, follower
        self.settings: dict[str, object] = {
            "channel": channel,
            **asdict(agents),
            "estimator": estimator,
            "information": information,
            "critic": critic,
            "belief": belief,
            "episodes_per_update": episodes_per_update,
            "follower_steps": follower_steps,
            "first_follower_steps": first_follower_steps,
            "step_size": step_size,
            "max_gradient_norm": max_gradient_norm,
            "advantage_decay": advantage_decay,
            "answers": answers,
            "max_episode_steps": max_episode_steps,
            "seed": seed,
        }
        self.history: list[dict[str, float]] = []
        self.env_steps = self.follower_steps = 0
        self._random = OwnRandomNumbers(seed)
        self._streams = Streams((seed,))
        envs = list(env) if isinstance(env, Sequence) else [env]
        check_wiring(leader, envs, follower)
        options = Options(
            channel, agents, estimator, information, critic, belief, episodes_per_update,
            float(advantage_decay), answers, max_episode_steps,
        )  # fmt: skip
        with self._random.used():
            self._estimator = make_estimator(
                leader, envs, follower, options, stream(seed, "critic")
            )
        first = follower_steps if first_follower_steps is None else first_follower_steps
        self._meeting = _Meeting(leader, follower, first, follower_steps)
        self._rule = Adam(np.array([float(step_size)]), max_gradient_norm)
        self._progress = Progress.start(self._meeting, self._estimator, self._streams, self._rule)
        self._written = self._progress.theta

    @property
    def num_updates(self) -> int:
        """Updates so far."""
        return self._progress.update

    def learn(
        self,
        total_timesteps: int,
        callback: AnyCallback | Sequence[AnyCallback] | None = None,
        *,
        progress_bar: bool = False,
    ) -> "BilevelTrainer":
        """Update until the leader has played so many transitions more, in whole batches.

        What was learned stays if an error or a callback ends it, and a later call goes on.

        Args:
            total_timesteps: transitions of leader and follower together; the follower's own
                learning is not counted.
            callback: a function of the trainer that is told of every update, or a `Callback`, or
                several of them; one that returns False stops.
            progress_bar: draw one.

        Raises:
            FloatingPointError: an estimate is not finite; θ stays what it was.
            ValueError: `total_timesteps` is not positive, or an environment breaks its contract.
        """
        expect_number("total_timesteps", total_timesteps, least=1, whole=True)
        given = list(callback) if isinstance(callback, Sequence) else [callback]
        shown = [ProgressBar()] if progress_bar else []
        told = Callbacks([each for each in [*given, *shown] if each is not None])
        goal = self.env_steps + total_timesteps
        try:
            told.on_start(self, total_timesteps)
            while self.env_steps < goal:
                self._update()
                if not told.on_update(self):
                    break
        finally:
            told.on_end(self)
        return self

    def _update(self) -> None:
        found = parameters.read(self.leader)
        if found.shape != self._progress.theta.shape:
            raise ValueError(
                f"the leader has {found.shape[1]} trainable parameters; expected "
                f"{self._progress.theta.shape[1]}, as when the trainer was made"
            )
        if (found != self._written).any():  # by a callback, or between calls
            self._progress.theta = found
        with self._random.used():
            step = advance(
                self._progress, self._meeting, self._estimator, self._streams, rule=self._rule
            )
        estimate = step.estimate
        parameters.write(self.leader, step.next_theta)
        self._written = parameters.read(self.leader)
        self.env_steps += estimate.env_steps
        self.follower_steps += step.response.steps
        self.history.append(
            {
                "update": float(step.update),
                "env_steps": float(self.env_steps),
                "follower_steps": float(self.follower_steps),
                "leader_return_sampled": float(estimate.leader_return_sampled[0]),
                "gradient_norm": float(np.linalg.norm(estimate.gradient)),
                "direct_norm": float(np.linalg.norm(estimate.direct)),
                "indirect_norm": float(np.linalg.norm(estimate.indirect)),
            }
        )

    def save(self, path: str | Path) -> None:
        """Write everything that the training goes on with: leader, follower, environments.

        The file is a pickle; see `load`.

        Raises:
            TypeError: a part cannot be pickled; nothing is written.
            OSError: the file cannot be written.
        """
        checkpoints.save(self, Path(path))

    @classmethod
    def load(cls, path: str | Path) -> "BilevelTrainer":
        """A trainer that goes on bit for bit as the saved one would have, with its own parts.

        Loading runs code of the file: load only what you trust.

        Raises:
            OSError: the file cannot be read.
            ValueError: it holds no trainer.
        """
        return checkpoints.load(cls, Path(path))
