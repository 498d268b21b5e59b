"""What params.yaml says of houses that are soft actor-critics."""

from typing import Annotated, Literal

from pydantic import Field

from bilevelrl.core.validation import Content
from bilevelrl.models.deep.settings import SacFollower, SacParams


class HouseholdSacParams(SacParams):
    """A soft actor-critic with a battery, see `sac_agent`.

    Attributes:
        harmonics: cosines and sines of the hour that are observed, of a day, half a day and so on;
            twelve tell every hour from every other.
    """

    harmonics: Annotated[int, Field(ge=1, le=12)]


class SacHouses(SacFollower):
    """Soft actor-critics, by the rule that the problem's `learner.sac` says.

    Attributes:
        limits: what an action means where the battery's bounds are near, see `continuous`.
    """

    limits: Literal["cut", "scaled"]

    @property
    def conditions(self) -> Content:
        """Which follower, how much it learns, and what it does near the bounds."""
        return super().conditions | {"limits": self.limits}

    def cost(self, num_updates: int) -> int:
        """Effort of a run: an hour takes less than a tenth of a millisecond."""
        return 200 * self.transitions(num_updates)
