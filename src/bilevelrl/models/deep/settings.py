"""What params.yaml says of an agent of Stable-Baselines3."""

from typing import Literal

from bilevelrl.core.validation import Block, Count, Positive, UnitInterval


class SacParams(Block):
    """An agent of Stable-Baselines3, see `models.deep.agent.SacOptions`.

    Attributes:
        action_bound, training_horizon: see `models.deep.view.ViewOptions`.
        episodes: of each evaluation of what it plays.
    """

    units: Count
    activation: Literal["relu", "tanh"]
    critics: Count
    step_size: Positive
    last_step_size: Positive
    decay_steps: Count
    batch_size: Count
    target_rate: UnitInterval
    start_steps: Count
    capacity: Count
    reward_scale: Positive
    num_envs: Count
    gradient_steps: Count
    action_bound: Positive
    training_horizon: Count
    episodes: Count
