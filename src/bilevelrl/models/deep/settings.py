"""What params.yaml says of followers that are soft actor-critics."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from bilevelrl.core.settings import ExactFollower, LearningFollower, Setting, WatchingBelief
from bilevelrl.core.validation import Block, Count, Positive, UnitInterval


class SacParams(Block):
    """A soft actor-critic; names and meanings are those of `stable_baselines3.SAC`.

    Attributes:
        net_arch: units of the hidden layers of every network.
        activation_fn: between the layers; smooth critics extrapolate better where values are
            smooth.
        n_critics: of whose values the smallest counts.
        learning_rate: of Adam, for actor and critics, at the first transition.
        final_learning_rate: after `decay_steps` transitions and ever after, falling geometrically
            until then; as the first one if None.
        decay_steps: see `final_learning_rate`.
        batch_size: transitions per gradient step.
        tau: share of the new critics in their slow copies.
        learning_starts: first transitions, which are drawn uniformly and only stored.
        buffer_size: transitions kept.
        reward_scale: rewards are divided by it, and the temperature too.
        n_envs: environments that are stepped together.
        gradient_steps: per step of all of them.
    """

    net_arch: Annotated[tuple[Count, ...], Field(min_length=1, strict=False)]
    activation_fn: Literal["relu", "tanh"]
    n_critics: Count
    learning_rate: Positive
    final_learning_rate: Positive | None
    decay_steps: Count
    batch_size: Count
    tau: UnitInterval
    learning_starts: Count
    buffer_size: Count
    reward_scale: Positive
    n_envs: Count
    gradient_steps: Count


class ComparedSacParams(SacParams):
    """An agent whose best response is known exactly.

    Attributes:
        action_bound: an action u in [-1, 1]^m stands for `action_bound` · u. The entropy of the
            action in the problem's units is larger than that of u by m log(action_bound).
        training_horizon: transitions after which an episode is cut. A follower may begin again as
            often as it likes: its optimum looks ahead without end, so that a cut is no end of its
            task, and where most of the return is earned in the first few steps it learns more from
            starting often.
        episodes: of each evaluation of what it plays.
    """

    action_bound: Positive
    training_horizon: Count
    episodes: Count


class SacFollower(LearningFollower):
    """Soft actor-critic; its hyper-parameters are the problem's `learner`."""

    trains_alone: ClassVar[bool] = True

    kind: Literal["sac"]
    start: Literal["carry"]

    def cost(self, num_updates: int) -> int:
        """Effort of a run: a transition that SAC learns from takes milliseconds."""
        return 15_000 * self.transitions(num_updates)


class SacFollowerSetting(Setting):
    """Of estimators that get along with an agent that learns, if they watch it.

    Attributes:
        follower: whose policies the leader meets.
    """

    follower: Annotated[ExactFollower | SacFollower, Field(discriminator="kind")] = ExactFollower()

    @model_validator(mode="after")
    def _agents_are_watched(self) -> "SacFollowerSetting":
        belief: WatchingBelief | None = getattr(self, "belief", None)
        if self.follower.kind == "sac" and belief is None:
            raise ValueError(
                "follower.kind = sac needs a belief: the leader cannot read its value, which is no "
                "function that is known; set belief, with information = rewards"
            )
        return self
