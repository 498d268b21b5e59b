"""What params.yaml says of the guided cart-pole: constants, shared settings, settings."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from bilevelrl.core.blocks import SearchBlock
from bilevelrl.core.families import LEARNER_KEYS, Family, Keys, table
from bilevelrl.core.games import Discount
from bilevelrl.core.problem import Constants, ProblemBlock, TrainingBlock
from bilevelrl.core.settings import Name, Setting, Share
from bilevelrl.core.validation import Choices, Count, Positive, UnitInterval


class GuidedCartPoleParams(Constants):
    """Constants, see `problems.guided_cartpole.problem.GuidedCartPole`, which checks them."""

    gravity: Positive
    cart_mass: Positive
    pole_mass: Positive
    half_length: Positive
    push: Positive
    wind: Positive
    time_step: Positive
    limit: Positive
    angle_limit: Positive
    goal: Annotated[tuple[float, float], Field(strict=False)]
    initial_spread: Positive
    leader_discount: Discount
    follower_discount: Discount


class GuidedCartPoleLeaders(TrainingBlock):
    """What all cells share and an entry may override; see `GuidedCartPoleSetting`."""

    temperature: Positive
    step_size: Positive
    max_gradient_norm: Positive
    winds: Choices[float]
    units: Count
    evaluation_episodes: Count
    first_follower_steps: Count
    follower_steps: Count
    follower_units: Count
    follower_step_size: UnitInterval
    follower_batch: Count
    follower_target_rate: UnitInterval
    follower_random_steps: Count
    follower_capacity: Count
    follower_envs: Count
    follower_gradient_steps: Count
    env_steps_per_update: Count
    critic_features: Count
    policy_features: Count
    keep: Share
    ridge: Positive
    policy_ridge: Positive


class GuidedCartPoleSetting(Setting):
    """Settings of the guided cart-pole.

    Attributes:
        study: name of an ablation that the setting belongs to; None is the main comparison.
        winds: that the leader chooses from, in [-1, 1].
        units: of the leader's hidden layer.
        max_gradient_norm: clip of the gradient before Adam.
        evaluation_episodes: simulated for every J, with the same random numbers.
        follower_units, follower_step_size, follower_batch, follower_target_rate,
        follower_random_steps, follower_capacity, follower_envs, follower_gradient_steps: of the
            follower, see `models.deep.agent.SacOptions`; transitions of an answer are a
            multiple of the environments.
        env_steps_per_update: that the leader learns from, whole episodes; a pole that falls leaves
            the rest of its episode unused.
        critic_features: random features of the leader's value function.
        policy_features: of the follower's policy.
        keep: weight of all earlier batches against the newest in what the leader learns.
        ridge: relative penalty of its regressions,
        policy_ridge: and of the follower's policy.
    """

    follower: Literal["sac"] = "sac"
    information: Literal["rewards"] = "rewards"
    study: Name | None = None
    winds: Choices[float]
    units: Count
    evaluation_episodes: Count
    follower_units: Count
    follower_step_size: UnitInterval
    follower_batch: Count
    follower_target_rate: UnitInterval
    follower_random_steps: Count
    follower_capacity: Count
    follower_envs: Count
    follower_gradient_steps: Count
    max_gradient_norm: Positive | None = None
    env_steps_per_update: Count | None = None
    critic_features: Count | None = None
    policy_features: Count | None = None
    keep: Share | None = None
    ridge: Positive | None = None
    policy_ridge: Positive | None = None

    @model_validator(mode="after")
    def _is_possible(self) -> "GuidedCartPoleSetting":
        if self.start == "reset":
            raise ValueError("start = reset: a follower that balances a pole carries on")
        if len(self.winds) < 2 or any(abs(wind) > 1.0 for wind in self.winds):
            raise ValueError(f"winds must be at least two numbers in [-1, 1], got {self.winds}")
        for key in ("first_follower_steps", "follower_steps"):
            steps = getattr(self, key)
            if steps is not None and steps % self.follower_envs:
                raise ValueError(
                    f"{key} = {steps} is not divisible by follower_envs = {self.follower_envs}"
                )
        return self

    def conditions(self, shared: dict[str, Any]) -> dict[str, Any]:
        """Temperature, the leader's budget, and the study: "main" if it is no other."""
        del shared
        chosen: dict[str, Any] = {"temperature": self.temperature}
        if self.env_steps_per_update is not None:
            chosen["env_steps_per_update"] = self.env_steps_per_update
        # There is no exact follower to compare with, so that followers that learn are no study.
        return chosen | {"study": self.study or "main"} | self.follower_conditions


_SAC = frozenset(
    {
        "winds", "units", "evaluation_episodes", "follower_steps", "follower_units",
        "follower_step_size", "follower_batch", "follower_target_rate", "follower_random_steps",
        "follower_capacity", "follower_envs", "follower_gradient_steps",
    }
)  # fmt: skip
_LEARNED = _SAC | {
    "env_steps_per_update", "max_gradient_norm", "critic_features", "policy_features", "keep",
    "ridge", "policy_ridge",
}  # fmt: skip
FAMILY = Family(
    GuidedCartPoleSetting,
    frozenset(
        {
            "variant", "temperature", "step_size", "first_seed", "num_seeds", "num_updates",
            "study", "information", *LEARNER_KEYS,
        }
    ),
    table(
        {
            ("bc_hg", "improved"): Keys(_LEARNED),
            ("naive", "improved"): Keys(_LEARNED),
            ("random", "improved"): Keys(_SAC),
        }
    ),
)  # fmt: skip


class GuidedCartPoleBlock(ProblemBlock):
    """See `ProblemBlock`: nobody has searched for the best J, and nobody knows a best response."""

    family = FAMILY

    constants: GuidedCartPoleParams
    search: SearchBlock
    training: GuidedCartPoleLeaders
    learner: None
    learning: None
    gradients: None


BLOCK = GuidedCartPoleBlock
