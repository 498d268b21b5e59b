"""Settings: one full assignment of hyper-parameters, by family of problems."""

from abc import abstractmethod
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from bilevelrl.core.validation import Block, Count, Positive, Seed, UnitInterval, Variant, Whole

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Share = Annotated[float, Field(ge=0.0, lt=1.0)]


FOLLOWERS = ("exact", "truncated", "soft_q", "sac")
#: Followers that learn from transitions.
LEARNING = ("soft_q", "sac")
_FOLLOWER_KEYS = {
    "policy_iterations": ("truncated",),
    "follower_steps": LEARNING,
    "start": ("truncated", *LEARNING),
}


class Setting(Block):
    """What every setting has; a run is a setting and a seed.

    Attributes:
        variant: "published" has every quirk of the released code, "corrected" none, "improved" adds
            ideas of ours.
        temperature: β of the follower.
        step_size: of the leader's ascent.
        first_seed, num_seeds: which runs.
        num_updates: of the leader.
        follower: "exact", "truncated", or learning: "soft_q" (tabular) or "sac".
        policy_iterations: of the truncated follower.
        follower_steps: transitions that a learning follower has before each answer.
        first_follower_steps: and before its first; None is the same.
        start: "carry" or "reset", of every follower but the exact one: what it goes on from after
            the leader has moved.
        information: what the leader sees of its follower, see `core.observations`.
        forgetting: weight of all earlier batches against the newest in what a leader believes that
            only watches.
            None is 0, as of the next.
        smoothing: share of uniform actions in the policy that it believes in.
        believed_temperature: the β that such a leader reckons with; None is the true one.
    """

    #: Whether a batch must hold whole episodes, rather than cut the last one.
    samples_whole_episodes: ClassVar[bool] = True

    variant: Variant
    temperature: Positive
    step_size: Positive
    first_seed: Seed
    num_seeds: Count
    num_updates: Count
    follower: Literal["exact", "truncated", "soft_q", "sac"] = "exact"
    policy_iterations: Count | None = None
    follower_steps: Count | None = None
    first_follower_steps: Count | None = None
    start: Literal["carry", "reset"] | None = None
    information: Literal["full", "rewards", "actions"] = "full"
    forgetting: Share | None = None
    smoothing: Share | None = None
    believed_temperature: Positive | None = None

    @model_validator(mode="after")
    def _information_is_consistent(self) -> "Setting":
        for key in ("forgetting", "smoothing", "believed_temperature"):
            if getattr(self, key) is not None and self.information == "full":
                raise ValueError(
                    f"{key} = {getattr(self, key)} does not go with information = full: a leader "
                    "that reads its follower has nothing to believe"
                )
        return self

    @model_validator(mode="after")
    def _follower_is_consistent(self) -> "Setting":
        for key, followers in _FOLLOWER_KEYS.items():
            if (getattr(self, key) is not None) != (self.follower in followers):
                raise ValueError(
                    f"{key} = {getattr(self, key)} does not go with follower = {self.follower}: "
                    f"set it for {' and '.join(map(repr, followers))} and only there"
                )
        if self.first_follower_steps is not None and (
            self.follower not in LEARNING or self.start == "reset"
        ):
            raise ValueError(
                f"first_follower_steps = {self.first_follower_steps} does not go with follower = "
                f"{self.follower}, start = {self.start}: set it for a learning follower that "
                "carries on"
            )
        return self

    def _refuse_followers(self, *unknown: str) -> None:
        if self.follower in unknown:
            allowed = [name for name in FOLLOWERS if name not in unknown]
            raise ValueError(f"follower = {self.follower}: allowed here are {allowed}")

    def _refuse_reading_sac(self) -> None:
        if self.follower == "sac" and self.information == "full":
            raise ValueError(
                "information = full does not go with follower = sac: its value is no function "
                "that could be read; allowed is 'rewards'"
            )

    def _refuse_actions(self) -> None:
        if self.information == "actions":
            raise ValueError(
                "information = actions: V_F, which the estimator needs here, cannot be told from "
                "the follower's actions alone; allowed are 'full' and 'rewards'"
            )

    @property
    def seeds(self) -> range:
        """One run each."""
        return range(self.first_seed, self.first_seed + self.num_seeds)

    @property
    def follower_conditions(self) -> dict[str, Any]:
        """Which follower, how much it learns, and what the leader sees of it."""
        keys = ("follower", "information", *_FOLLOWER_KEYS, "first_follower_steps",
                "believed_temperature")  # fmt: skip
        return {key: getattr(self, key) for key in keys if getattr(self, key) is not None}

    @abstractmethod
    def conditions(self, shared: dict[str, Any]) -> dict[str, Any]:
        """What is compared, as opposed to tuned: the keys of the `setting` column.

        Args:
            shared: what the cells of the problem share; some conditions appear only where they
                differ from it.
        """


class GameSetting(Setting):
    """Settings of the games in which the leader acts.

    Attributes:
        study: name of an ablation that the setting belongs to; None is the main comparison.
        belief: of a leader that only watches BilevelLQR, "evaluated" (the default) or "planned",
            see the belief of the problem.
        returns: how J is reported, "discounted" or "undiscounted"; the leader always climbs the
            discounted one.
        env_steps_per_update: transitions per update, a multiple of the episode's length.
        actor_steps: M, steps of θ per update.
        step_size_ratio: what the step size falls to in the end, geometrically, as a share of the
            first one.
        control_variate: centre the follower's side too, see `core.control_variate`.
        critic_steps: C, steps of a network critic per update.
        critic_step_size: of Adam, for a network critic.
        target_rate: share of the new networks in their slow copies, once per update.
        minibatch: transitions per actor or critic step; None uses the whole batch.
        follower_samples: draws that estimate E_b[Q_L]; None takes the expectation.
        leader_samples: draws that estimate the direct term's baseline (continuous actions).
        random_updates: first updates during which the leader acts at random.
        max_gradient_norm: clip before Adam; None clips nothing.
        leader_noise: standard deviation of the leader's action (continuous actions).
        initial_spread: standard deviation of θ at the start (linear policies).
        radius: of the zero-order estimator.
    """

    study: Name | None = None
    belief: Literal["evaluated", "planned"] | None = None
    returns: Literal["discounted", "undiscounted"]
    env_steps_per_update: Count | None = None
    actor_steps: Count | None = None
    step_size_ratio: UnitInterval = 1.0
    control_variate: bool = False
    critic_steps: Count | None = None
    critic_step_size: UnitInterval | None = None
    target_rate: UnitInterval | None = None
    minibatch: Count | None = None
    follower_samples: Count | None = None
    leader_samples: Count | None = None
    random_updates: Whole | None = None
    max_gradient_norm: Positive | None = None
    leader_noise: Positive | None = None
    initial_spread: Positive | None = None
    radius: Positive | None = None

    @model_validator(mode="after")
    def _information_is_enough(self) -> "GameSetting":
        self._refuse_actions()
        linear = self.leader_noise is not None  # BilevelLQR
        self._refuse_followers(*(("truncated", "soft_q") if linear else ("sac",)))
        self._refuse_reading_sac()
        if self.follower == "sac" and self.random_updates:
            raise ValueError(
                f"random_updates = {self.random_updates} does not go with follower = sac: allowed "
                "is 0"
            )
        if self.belief is not None and self.information == "full":
            raise ValueError(f"belief = {self.belief} does not go with information = full")
        return self

    def conditions(self, shared: dict[str, Any]) -> dict[str, Any]:
        """Kind of return, temperature, budget, and the ablation if it is one."""
        del shared
        chosen: dict[str, Any] = {"return": self.returns, "temperature": self.temperature}
        if self.env_steps_per_update is not None:
            chosen["env_steps_per_update"] = self.env_steps_per_update
        for key in ("study", "belief"):
            if getattr(self, key) is not None:
                chosen[key] = getattr(self, key)
        return chosen | self.follower_conditions
