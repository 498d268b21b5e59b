"""The blocks of params.yaml that need no more than their own values."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Generic, TypeVar

from pydantic import Field, model_validator

from bilevelrl.core.validation import (
    LARGEST,
    Block,
    Choices,
    Count,
    Positive,
    Seed,
)

Rule = TypeVar("Rule")


class SearchBlock(Block):
    """Where the best known J of a problem is searched for; more fields where somebody searches.

    Attributes:
        temperatures: β of the followers, the first one the main one.
    """

    temperatures: Choices[Positive]


class SeedParams(Block):
    """The runs of every setting: which seeds, and how many; an entry may set its own.

    Attributes:
        first_seed, num_seeds: one run each.
    """

    first_seed: Seed
    num_seeds: Count


class SolverParams(Block):
    """What all problems ask of the solvers of their followers.

    Attributes:
        tolerance: certified, on the soft value.
        max_iterations: of the exact solvers.
        sweeps: per policy iteration, of the truncated follower.
    """

    tolerance: Positive
    max_iterations: Count
    sweeps: Count


class FollowerParams(SolverParams, Generic[Rule]):
    """The followers of one problem: accuracy of the solvers, and how the one that learns does.

    Attributes:
        learner: rule of a follower that learns; None where none does, or its settings say it.
    """

    learner: Rule


class LearningParams(Block):
    """Followers that learn at the initial θ, one per seed; `steps` are checkpoints.

    Attributes:
        first_seed, num_seeds: which followers.
        steps: transitions, increasing.
    """

    first_seed: Seed
    num_seeds: Count
    steps: tuple[Count, ...] = Field(min_length=1, strict=False)

    @model_validator(mode="after")
    def _increasing(self) -> "LearningParams":
        if any(later <= earlier for earlier, later in pairwise(self.steps)):
            raise ValueError(f"steps = {list(self.steps)} must increase")
        return self

    @property
    def seeds(self) -> range:
        """One follower each."""
        return range(self.first_seed, self.first_seed + self.num_seeds)


Point = TypeVar("Point")


class InformationParams(Block, Generic[Point]):
    """Estimates at one θ from ever more transitions, see `information_errors`.

    Attributes:
        point: the θ; what it says depends on the problem.
        sizes: transitions of an estimate, increasing.
        batches: equal ones that they come in.
        replicates: of every size.
    """

    point: Point
    sizes: tuple[Count, ...] = Field(min_length=3, strict=False)
    batches: Count
    replicates: Annotated[int, Field(ge=2, le=LARGEST)]

    @model_validator(mode="after")
    def _increasing(self) -> "InformationParams[Point]":
        if any(later <= earlier for earlier, later in pairwise(self.sizes)):
            raise ValueError(f"sizes = {list(self.sizes)} must increase")
        return self

    def seeds(self, first: int) -> Iterator[tuple[int, range]]:
        """(size, its seeds), counted from `first`; no two sizes share one."""
        for place, size in enumerate(self.sizes):
            start = first + place * self.replicates
            yield size, range(start, start + self.replicates)

    @property
    def num_seeds(self) -> int:
        """Of all sizes together."""
        return len(self.sizes) * self.replicates


class StudyParams(Block, Generic[Point]):
    """What every study of estimators at fixed θ has.

    Attributes:
        temperature: β of the follower.
        first_seed: of the replicates, and of the estimates of `information`.
        replicates: of every estimate.
        information: see `InformationParams`.
    """

    temperature: Positive
    first_seed: Seed
    replicates: Annotated[int, Field(ge=2, le=LARGEST)]
    information: InformationParams[Point]

    def whole_episodes(self) -> list[tuple[str, int]]:
        """Numbers of transitions that must be those of whole episodes, each with its key."""
        return []

    def seed_counts(self) -> dict[str, int]:
        """Beside the replicates, those of `information`."""
        own = self.information.num_seeds
        return super().seed_counts() | {"information.sizes * information.replicates": own}
