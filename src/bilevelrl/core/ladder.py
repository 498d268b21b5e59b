"""What is asked of estimators at fixed θ, as data that stands beside each problem."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

#: Turns the estimator of a variant, given it and the game, into another.
Change = Callable[[Any, Any], Any]


def _as_it_is(estimator: object, game: object) -> object:
    del game
    return estimator


@dataclass(frozen=True, eq=False)
class Rung:
    """One estimator of a ladder, each of which changes one thing about another.

    Attributes:
        critic: kind of the leader's critic, or "none".
        note: what sets it apart from other rungs of its estimator and variant, in words.
        entry: hyper-parameters that neither the cells nor the studies of the problem share.
        change: turns the variant's estimator, given it and the game, into this one.
        warm_up: batches that a learned critic or a regression sees before the estimate counts; None
            takes as many as `warm_up_steps` of the study need.
        samples: whether estimates cost transitions.
        settings_of: estimator and variant whose setting `change` starts from, where the rung's own
            is no estimator of the problem's leaders; None starts from its own.
    """

    estimator: str
    variant: str
    critic: str
    note: str = ""
    entry: Mapping[str, Any] = field(default_factory=dict)
    change: Change = _as_it_is
    warm_up: int | None = 0
    samples: bool = True
    settings_of: tuple[str, str] | None = None

    @property
    def id(self) -> str:
        """Name of the rung, no other of the ladder's: its estimator, variant and note."""
        return "_".join(re.findall(r"\w+", f"{self.estimator} {self.variant} {self.note}"))


@dataclass(frozen=True, eq=False)
class Level:
    """What the leader sees of its follower, and how it learns from that.

    Attributes:
        belief: the component of a setting; None reads the follower.
        name: of the belief, where a problem compares several.
        critic: "learned", as in the cells, or "returns".
        change: as of a `Rung`.
    """

    belief: Mapping[str, str] | None = None
    name: str = ""
    critic: str = "learned"
    change: Change = _as_it_is

    @property
    def information(self) -> str:
        """What the leader sees."""
        return "full" if self.belief is None else self.belief["information"]
