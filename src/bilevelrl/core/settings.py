"""Settings: one full assignment of hyper-parameters, of which some are components of a `kind`."""

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from bilevelrl.core.validation import Block, Content, Count, Positive, Seed, Variant

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Share = Annotated[float, Field(ge=0.0, lt=1.0)]
#: What a condition is for: "case" tells one J of a problem from another, "budget" says how much is
#: sampled per update, "main" is what the main comparison has beside these.
Role = Literal["case", "budget", "main"]


class PerRun:
    """Marks a hyper-parameter in which runs of one batch may differ."""


PER_RUN = PerRun()


class Component(Block):
    """A part of a setting, chosen by `kind`; its own fields are unknown to other kinds."""

    #: Whether runs with it share no arrays, so that each may have a process of its own.
    trains_alone: ClassVar[bool] = False

    kind: str

    @property
    def conditions(self) -> Content:
        """What it adds to the `setting` column: what is compared, as opposed to tuned."""
        return {}

    def cost(self, num_updates: int) -> int:
        """Rough effort of a run, in transitions that a leader samples."""
        del num_updates
        return 0


class ExactFollower(Component):
    """The best response."""

    kind: Literal["exact"] = "exact"


class LearningFollower(Component):
    """A follower that learns from transitions.

    Attributes:
        start: what it goes on from after the leader has moved: "carry" what it knows, or "reset".
        first_steps: transitions that it has before its first answer; None is as for any other.
        steps: transitions before each answer.
    """

    start: Literal["carry", "reset"]
    first_steps: Count | None = None
    steps: Count

    @model_validator(mode="after")
    def _first_steps_are_carried(self) -> Self:
        if self.first_steps is not None and self.start == "reset":
            raise ValueError(
                f"first_steps = {self.first_steps} does not go with start = reset: what is learned "
                "before the first answer is forgotten; set it for a follower that carries on"
            )
        return self

    @property
    def conditions(self) -> Content:
        """Which follower, and how much it learns."""
        own = {"follower": self.kind, "start": self.start, "follower_steps": self.steps}
        return own | ({"first_follower_steps": self.first_steps} if self.first_steps else {})

    def transitions(self, num_updates: int) -> int:
        """All that it learns from in a run."""
        return (self.first_steps or self.steps) + (num_updates - 1) * self.steps


class WatchingBelief(Component):
    """How a leader learns about a follower that it only watches.

    It sees what `core.observations` says; a setting without a belief reads the follower: "full".
    """

    information: Literal["rewards", "actions"]

    @property
    def conditions(self) -> Content:
        """What the leader sees."""
        return {"information": self.information}


class BoltzmannBelief(WatchingBelief):
    """Of a leader that reckons with a temperature of the follower; None is the true one."""

    temperature: Annotated[Positive | None, PER_RUN] = None

    @property
    def conditions(self) -> Content:
        """What the leader sees, and a β that it reckons with and is not the follower's."""
        mistaken = {} if self.temperature is None else {"believed_temperature": self.temperature}
        return super().conditions | mistaken


class Setting(Block):
    """What every setting has; a run is a setting and a seed.

    Attributes:
        variant: "published" has every quirk of the released code, "corrected" none, "improved" adds
            ideas of ours.
        temperature: β of the follower.
        study: name of an ablation that the setting belongs to; None is the main comparison.
    """

    variant: Variant
    temperature: Annotated[Positive, PER_RUN]
    first_seed: Annotated[Seed, PER_RUN]
    num_seeds: Annotated[Count, PER_RUN]
    num_updates: Count
    study: Annotated[Name | None, PER_RUN] = None

    #: What conditions are for, cases in the order in which they are named.
    roles: ClassVar[Mapping[str, Role]] = {"env_steps_per_update": "budget"}

    @property
    def seeds(self) -> range:
        """One run each."""
        return range(self.first_seed, self.first_seed + self.num_seeds)

    @property
    def budget(self) -> int:
        """What it samples per update, in the unit of the problem; 0 if it samples nothing."""
        sampled = [key for key, role in self.roles.items() if role == "budget"]
        return max((getattr(self, key, 0) for key in sampled), default=0)

    @property
    def components(self) -> Iterator[Component]:
        """All that have a kind."""
        return (value for _, value in self if isinstance(value, Component))

    def conditions(self, shared: Content) -> Content:
        """What is compared, as opposed to tuned: the keys of the `setting` column.

        Some appear only where they differ from what the cells of the problem share.
        """
        del shared
        chosen = {"follower": "exact", "information": "full", "temperature": self.temperature}
        for key in ("env_steps_per_update", "study"):
            value = getattr(self, key, None)
            if value is not None:
                chosen[key] = value
        for component in self.components:
            chosen |= component.conditions
        return chosen


class AscentSetting(Setting):
    """Settings of leaders that step along their estimates of dJ/dθ.

    Attributes:
        step_size: η.
    """

    step_size: Annotated[Positive, PER_RUN]


class BatchSetting(Setting):
    """Settings of estimators that sample B transitions per update."""

    env_steps_per_update: Count


def group_key(setting: Block) -> tuple[object, ...]:
    """Runs with equal keys can share one batch: they differ in fields marked `PER_RUN` only."""
    return (
        type(setting).__name__,
        *(
            (name, group_key(value) if isinstance(value, Block) else value)
            for name, value in setting
            if PER_RUN not in type(setting).model_fields[name].metadata
        ),
    )


def flat(content: Content) -> Content:
    """Hyper-parameters by one name each, which is how tables and MLflow know them.

    A component's fields follow its own name: `critic: {kind: sarsa, step_size: .5}` is critic =
    sarsa, critic_step_size = .5. Content is that of a setting or of an entry of params.yaml.
    """
    found: Content = {}
    for name, value in content.items():
        if isinstance(value, dict):
            own = {f"{name}_{key}": each for key, each in value.items() if key != "kind"}
            found |= ({name: value["kind"]} if "kind" in value else {}) | own
        else:
            found[name] = value
    return found
