"""Settings: one full assignment of hyper-parameters, by family of problems."""

from abc import abstractmethod
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from bilevelrl.config.validation import Block, Count, Positive, Seed, UnitInterval, Variant, Whole

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
        information: what the leader sees of its follower, see `problems.observations`.
        forgetting: weight of all earlier batches against the newest in what a leader believes that
            only watches.
            None is 0, as of the next.
        smoothing: share of uniform actions in the policy that it believes in.
        believed_temperature: the β that such a leader reckons with; None is the true one.
    """

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
            shared: the problem's block of `leaders`; some conditions appear only where they differ
                from it.
        """


class FourRoomsSetting(Setting):
    """Settings of FourRooms.

    Attributes:
        initial_spread: standard deviation of θ at the start.
        env_steps_per_update: B, transitions per update.
        num_envs: E, parallel environments; B must be a multiple.
        critic_step_size: α of the SARSA critic.
        oracle_steps_per_update: transitions of the oracle batch.
        radius: c of the zero-order estimator.
    """

    initial_spread: Positive
    env_steps_per_update: Count | None = None
    num_envs: Count | None = None
    critic_step_size: UnitInterval | None = None
    oracle_steps_per_update: Count | None = None
    radius: Positive | None = None

    @model_validator(mode="after")
    def _divisible(self) -> "FourRoomsSetting":
        self._refuse_followers("sac")
        for key in ("env_steps_per_update", "oracle_steps_per_update"):
            steps = getattr(self, key)
            if steps is not None and self.num_envs is not None and steps % self.num_envs:
                raise ValueError(f"{key} = {steps} is not divisible by num_envs = {self.num_envs}")
        return self

    def conditions(self, shared: dict[str, Any]) -> dict[str, Any]:
        """Temperature, budget, and where it is not the shared one, spread and follower."""
        chosen: dict[str, Any] = {"temperature": self.temperature}
        if self.env_steps_per_update is not None:
            chosen["env_steps_per_update"] = self.env_steps_per_update
        if self.initial_spread != shared["initial_spread"]:
            chosen["initial_spread"] = self.initial_spread
        return chosen | self.follower_conditions


class GameSetting(Setting):
    """Settings of the games in which the leader acts.

    Attributes:
        study: name of an ablation that the setting belongs to; None is the main comparison.
        belief: of a leader that only watches BilevelLQR, "evaluated" (the default) or "planned",
            see `beliefs.linear`.
        returns: how J is reported, "discounted" or "undiscounted"; the leader always climbs the
            discounted one.
        env_steps_per_update: transitions per update, a multiple of the episode's length.
        actor_steps: M, steps of θ per update.
        step_size_ratio: what the step size falls to in the end, geometrically, as a share of the
            first one.
        control_variate: centre the follower's side too, see `estimators.control_variate`.
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


class ThermalSetting(Setting):
    """Settings of building thermal control.

    Attributes:
        study: name of an ablation that the setting belongs to; None is the main comparison.
        env_steps_per_update: transitions per update, a multiple of the episode's length.
        initial_spread: standard deviation of θ at the start.
        max_gradient_norm: clip of the gradient, insulation and airflow apart.
        momentum: weight of an estimate against the next in the mean that θ follows; 0 follows the
            newest estimate.
        max_score_norm: the same for every score in the direct part (released code).
        follower_samples: draws that estimate E_a[Q_L]; None takes the expectation.
        critic: "quadratic" solves least squares, "network" is the released code's.
        critic_steps: Adam steps of the network critic per update, each from the start.
        critic_step_size: of these.
        sensitivity: "sampled" along the trajectory, or "expected" under the leader's model of its
            building.
        radius: of the zero-order estimator.
        belief: of a watching leader about its follower's mean action: linear in the state, or on
            "random_features".
        policy_features: how many.
        policy_ridge: relative penalty of their regression.
    """

    study: Name | None = None
    env_steps_per_update: Count | None = None
    initial_spread: Positive
    max_gradient_norm: Positive
    momentum: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    max_score_norm: Positive | None = None
    follower_samples: Count | None = None
    critic: Literal["quadratic", "network"] = "quadratic"
    critic_steps: Count | None = None
    critic_step_size: UnitInterval | None = None
    sensitivity: Literal["sampled", "expected"] = "sampled"
    radius: Positive | None = None
    belief: Literal["linear", "random_features"] | None = None
    policy_features: Count | None = None
    policy_ridge: Positive | None = None

    @model_validator(mode="after")
    def _belief_is_consistent(self) -> "ThermalSetting":
        if self.belief is not None and self.information == "full":
            raise ValueError(f"belief = {self.belief} does not go with information = full")
        for key in ("policy_features", "policy_ridge"):
            if (getattr(self, key) is not None) != (self.belief == "random_features"):
                raise ValueError(
                    f"{key} = {getattr(self, key)} does not go with belief = {self.belief}: set it "
                    "for 'random_features' and only there"
                )
        return self

    @model_validator(mode="after")
    def _information_is_enough(self) -> "ThermalSetting":
        self._refuse_actions()
        self._refuse_followers("truncated", "soft_q")
        self._refuse_reading_sac()
        if self.information != "full" and self.sensitivity == "expected":
            raise ValueError(
                f"sensitivity = expected does not go with information = {self.information}: it is "
                "an expectation under the follower's own solution; allowed is 'sampled'"
            )
        return self

    @model_validator(mode="after")
    def _critic_is_consistent(self) -> "ThermalSetting":
        network = self.critic == "network"
        for key in ("critic_steps", "critic_step_size"):
            if (getattr(self, key) is not None) != network:
                raise ValueError(
                    f"{key} = {getattr(self, key)} does not go with critic = {self.critic}: "
                    "set it for 'network' and only there"
                )
        return self

    def conditions(self, shared: dict[str, Any]) -> dict[str, Any]:
        """Temperature, budget, critic if it is a network, belief, and the ablation if it is one."""
        del shared
        chosen: dict[str, Any] = {"temperature": self.temperature}
        if self.env_steps_per_update is not None:
            chosen["env_steps_per_update"] = self.env_steps_per_update
        if self.critic != "quadratic":
            chosen["critic"] = self.critic
        for key in ("study", "belief"):
            if getattr(self, key) is not None:
                chosen[key] = getattr(self, key)
        return chosen | self.follower_conditions
