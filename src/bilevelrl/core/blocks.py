"""The blocks of params.yaml that need no more than their own values."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Generic, Self, TypeVar

from pydantic import Field, model_validator

from bilevelrl.core.validation import LARGEST, Block, Choices, Count, Positive, Seed

Rule = TypeVar("Rule")
Point = TypeVar("Point")
Replicates = Annotated[int, Field(ge=2, le=LARGEST)]


class SearchBlock(Block):
    """Where the best known J is searched for: β of the followers, the first one the main one."""

    temperatures: Choices[Positive]


def _check_increasing(key: str, values: tuple[int, ...]) -> None:
    if any(later <= earlier for earlier, later in pairwise(values)):
        raise ValueError(f"{key} = {list(values)} must increase")


class SeedParams(Block):
    """Which seeds, and how many, one run each; an entry may set its own."""

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
    """The same, and the rule of a follower that learns, None where none does or settings say it."""

    learner: Rule


class LearningParams(SeedParams):
    """Followers that learn at the initial θ, one per seed; `steps` are transitions, increasing."""

    steps: tuple[Count, ...] = Field(min_length=1, strict=False)

    @model_validator(mode="after")
    def _increasing(self) -> Self:
        _check_increasing("steps", self.steps)
        return self

    @property
    def seeds(self) -> range:
        """One follower each."""
        return range(self.first_seed, self.first_seed + self.num_seeds)


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
    replicates: Replicates

    @model_validator(mode="after")
    def _increasing(self) -> Self:
        _check_increasing("sizes", self.sizes)
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


class StudyParams(Block):
    """What every study of estimators at fixed θ has; `replicates` are those of every estimate."""

    temperature: Positive
    first_seed: Seed
    replicates: Replicates

    def whole_episodes(self) -> list[tuple[str, int]]:
        """Numbers of transitions that must be those of whole episodes, each with its key."""
        return []


class InformedStudyParams(StudyParams, Generic[Point]):
    """The same of a problem that asks how errors fall with samples, by what the leader sees."""

    information: InformationParams[Point]

    def seed_counts(self) -> dict[str, int]:
        """Beside the replicates, those of `information`."""
        own = self.information.num_seeds
        return super().seed_counts() | {"information.sizes * information.replicates": own}
