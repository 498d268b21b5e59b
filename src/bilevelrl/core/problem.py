"""What params.yaml says of one problem, and what its own modules are handed of it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Generic, Protocol, TypeVar

from pydantic import Field

from bilevelrl.core.blocks import (
    FollowerParams,
    LearningParams,
    SearchBlock,
    SeedParams,
    StudyParams,
)
from bilevelrl.core.entries import Entry, Estimators, expand, resolved
from bilevelrl.core.settings import Setting
from bilevelrl.core.validation import Block, ConfigError, Content, Count

Task = TypeVar("Task")
Result = TypeVar("Result")
#: Estimator, then name of an entry, then its hyper-parameters.
Entries = dict[str, dict[str, Content]]


class Constants(Block):
    """Constants of a problem; `max_episode_steps` is T, transitions of an episode."""

    max_episode_steps: Count


class TrainingBlock(Block):
    """What the cells of a problem share, which an entry may override; `max_rows` of a curve."""

    num_updates: Count
    max_rows: Annotated[int, Field(ge=1, le=500)]


class ProblemBlock(Block):
    """The block of a problem; its `settings` module says what the parts look like.

    Attributes:
        kind: folder below `problems` whose modules the problem is made of.
        learner: rule of a follower that learns; None where none does, or its settings say it.
        learning: how long followers learn at the initial θ; None asks for nothing.
        gradients: the study of estimators at fixed θ; None where nobody knows the hypergradient.
        cells: hyper-parameters of every estimator.
    """

    #: What can be trained, and which hyper-parameters it has.
    estimators: ClassVar[Estimators]

    kind: str
    constants: Constants
    search: SearchBlock
    learner: Block | None
    learning: LearningParams | None
    training: TrainingBlock
    seeds: SeedParams
    gradients: StudyParams | None
    cells: Entries

    @property
    def reported_return(self) -> str | None:
        """Which J is reported, "discounted" or "undiscounted"; None where there is one J."""
        return None

    def shared(self) -> Content:
        """What the cells take over unless they say otherwise."""
        return self.training.model_dump() | self.seeds.model_dump()

    def expanded(self, estimator: str, entry: Entry, where: str) -> list[Setting]:
        """Settings of an entry, what it leaves out taken from what the cells share.

        Raises:
            ConfigError: as `core.entries.expand`, or as `check`.
        """
        settings = expand(self.estimators, estimator, entry, self.shared(), where)
        for setting in settings:
            self.check(setting, where)
        return settings

    def settings(self, problem: str, estimator: str) -> Iterator[tuple[str, Setting]]:
        """All settings of a cell of `problem`, each with the dotted key of its entry.

        Raises:
            ConfigError: as `expanded`, or if an entry extends none.
        """
        where, entries = f"problems.{problem}.cells.{estimator}", self.cells[estimator]
        for name in entries:
            entry = resolved(entries, name, where)
            for setting in self.expanded(estimator, entry, f"{where}.{name}"):
                yield f"{where}.{name}", setting

    def check(self, setting: Setting, where: str) -> None:
        """Refuse a setting that does not go with the rest of the block: batches hold episodes.

        Raises:
            ConfigError: if so; the message starts with `where`.
        """
        steps: int = getattr(setting, "env_steps_per_update", 0)
        horizon = self.constants.max_episode_steps
        if steps % horizon:
            raise ConfigError(
                f"{where}: env_steps_per_update = {steps} must be a multiple of "
                f"constants.max_episode_steps = {horizon}"
            )


Own = TypeVar("Own", bound=ProblemBlock)


class RunTasks(Protocol):
    """`runs.execution.run_tasks` with its processes chosen: (position, result) as tasks finish."""

    def __call__(
        self,
        function: Callable[[Task], Result],
        tasks: Sequence[Task],
        *,
        weights: Sequence[int] | None = None,
        description: str = "",
    ) -> Iterator[tuple[int, Result]]:
        """Any order; `function` is importable by the workers."""


@dataclass(frozen=True)
class Problem(Generic[Own]):
    """One problem, as its own modules are told of it: name and blocks of params.yaml."""

    name: str
    block: Own
    followers: FollowerParams[Any]

    @property
    def temperatures(self) -> Sequence[float]:
        """β at which the problem is looked at, the main one first."""
        return self.block.search.temperatures


#: One that nobody knows beforehand.
AnyProblem = Problem[Any]
