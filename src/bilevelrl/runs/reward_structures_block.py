"""What params.yaml says of the study of reward structures."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from bilevelrl.core.blocks import Replicates
from bilevelrl.core.validation import Block, Choices, Count, Positive, Seed, UnitInterval

Alignment = Annotated[float, Field(ge=-1.0, le=1.0)]
Several = Annotated[int, Field(ge=2, le=20)]


class RandomGameParams(Block):
    """Random games, one per seed; leader and follower have the same discount.

    Attributes:
        first_seed: of the games.
        num_seeds: how many games.
        num_states: S.
        num_leader_actions: A.
        num_follower_actions: B.
        discount: γ_L = γ_F.
        max_episode_steps: H, so many that γ^H hardly matters.
    """

    first_seed: Seed
    num_seeds: Count
    num_states: Several
    num_leader_actions: Several
    num_follower_actions: Several
    discount: Annotated[float, Field(gt=0.0, lt=1.0)]
    max_episode_steps: Count


class RewardAscentParams(Block):
    """Exact ascent: updates, and Adam's step size, which falls to `step_size_ratio` of itself."""

    num_updates: Count
    step_size: Positive
    step_size_ratio: UnitInterval


class RewardStructureParams(Block):
    """Random games whose leader is paid κ r_F + (1 - |κ|) r_0, see `studies.reward_structures`.

    Attributes:
        alignments: κ.
        temperatures: β of the follower.
        points: θ per game, N(0, `spread`²), at which terms are compared and ascent starts.
        spread: standard deviation of a logit.
        env_steps_per_update: transitions of a sampled estimate, whole episodes.
        replicates: sampled estimates at every point.
        ascent: what climbs J.
    """

    games: RandomGameParams
    alignments: Choices[Alignment]
    temperatures: Choices[Positive]
    points: Count
    spread: Positive
    env_steps_per_update: Count
    replicates: Replicates
    ascent: RewardAscentParams

    @model_validator(mode="after")
    def _whole_episodes(self) -> Self:
        horizon = self.games.max_episode_steps
        if self.env_steps_per_update % horizon:
            raise ValueError(
                f"env_steps_per_update = {self.env_steps_per_update} must be a multiple of "
                f"games.max_episode_steps = {horizon}"
            )
        return self
