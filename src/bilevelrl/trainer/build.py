"""From a trainer's arguments to its estimator."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import gymnasium
import numpy as np
import torch

from bilevelrl.core.observations import Information
from bilevelrl.hypergradients.coefficients import Agents, Channel
from bilevelrl.trainer.acting import ActingSimulator
from bilevelrl.trainer.beliefs import BELIEFS, BeliefKind, make_belief
from bilevelrl.trainer.checks import check_differentiable, check_equal, check_same, examples
from bilevelrl.trainer.critics import Critic, choice_encoding
from bilevelrl.trainer.designing import DesignedSimulator
from bilevelrl.trainer.estimator import Acts, EstimatorName, LeaderEstimator
from bilevelrl.trainer.functions import FUNCTIONS, LARGEST_TABLE, Network, RandomFeatures, Table
from bilevelrl.trainer.kinds import component
from bilevelrl.trainer.policies import FollowerPolicy, known_policy
from bilevelrl.trainer.simulation import Batch, Follower, Simulator, Spaces
from bilevelrl.trainer.spaces import Encoding

Kind = Table | RandomFeatures | Network


@dataclass(frozen=True)
class Options:
    """Arguments of `BilevelTrainer` that its estimator is made from."""

    channel: Channel
    agents: Agents
    estimator: EstimatorName
    information: Information
    critic: str | Mapping[str, Any] | None
    belief: str | Mapping[str, Any] | None
    num_episodes: int
    decay: float
    answers: int
    max_episode_steps: int | None

    def __post_init__(self) -> None:
        for name, value, known in (
            ("channel", self.channel, get_args(Channel)),
            ("estimator", self.estimator, get_args(EstimatorName)),
            ("information", self.information, get_args(Information)),
        ):
            if value not in known:
                raise ValueError(f"{name} is {value!r}; expected one of {', '.join(known)}")
        blind = self.information == "actions" and self.channel != "rewards"
        if blind and self.estimator == "bc_hg":
            raise ValueError(
                f"information='actions' hides the follower's rewards, which BC-HG needs for "
                f"channel={self.channel!r}; expected 'rewards' or 'full'"
            )
        if self.information == "full" and self.belief is not None:
            raise ValueError(
                f"belief is {self.belief!r} with information='full', which reads the follower's "
                "policy; expected None"
            )


def make_estimator(
    leader: torch.nn.Module,
    envs: Sequence[Any],
    follower: Follower,
    options: Options,
    rng: np.random.Generator,
) -> LeaderEstimator:
    """The estimator, after everything that can be seen without playing was checked.

    Raises:
        TypeError: the leader returns something of the wrong type.
        ValueError: arguments do not go together, or an environment lacks something.
    """
    if options.belief is not None:
        component("belief", options.belief, BELIEFS)
    simulator, acts = _simulator(leader, envs, options)
    spaces, bc_hg = simulator.spaces, options.estimator == "bc_hg"
    kind = _critic_kind(options.critic, spaces)
    agents = options.agents
    return LeaderEstimator(
        simulator,
        acts,
        options.channel,
        agents,
        leader,
        options.num_episodes,
        options.decay,
        Critic.make(
            kind,
            spaces,
            agents.leader_discount,
            rng,
            gains=bc_hg or options.channel == "transitions",
        ),
        Critic.make(
            kind, spaces, agents.follower_discount, rng, gains=options.channel == "transitions"
        )
        if bc_hg and options.channel != "rewards"
        else None,
        _policy(follower, spaces, options, rng) if bc_hg else None,
        rng,
    )


def _simulator(
    leader: torch.nn.Module, envs: Sequence[Any], options: Options
) -> tuple[Simulator, Acts]:
    if not envs:
        raise ValueError("env is empty; expected an environment, or several equal ones")
    if len({id(getattr(env, "unwrapped", env)) for env in envs}) < len(envs):
        raise ValueError("env holds the same environment twice; expected one for each place")
    if options.channel == "actions":
        acting = ActingSimulator(envs, leader, options.max_episode_steps)
        policy, spaces = acting.policy, acting.spaces
        assert spaces.leader_action is not None
        choice_encoding(spaces)
        seen, moves = examples(spaces.observation), examples(spaces.leader_action)
        log_prob = policy.log_prob(seen, moves)
        check_differentiable("leader(observation)", [log_prob])
        check_same("leader(observation)", log_prob, policy.log_prob(seen[:2], moves[:2]))

        def acts(batch: Batch) -> tuple[torch.Tensor | None, torch.Tensor]:
            phi = policy.log_prob(batch.valid("observation"), batch.valid("leader_action"))
            return phi, phi

        return acting, acts
    for i, env in enumerate(envs):
        if not isinstance(env, gymnasium.Env):
            raise TypeError(
                f"env[{i}] is a {type(env).__name__}; expected a gymnasium.Env of the follower for "
                f"channel={options.channel!r}"
            )
    check_equal(envs, "the observation space", [env.observation_space for env in envs])
    check_equal(envs, "the action space", [env.action_space for env in envs])
    designed = DesignedSimulator(envs, leader, options.max_episode_steps)
    terms = designed.leader.terms
    choice_encoding(designed.spaces)
    seen, moves = examples(designed.spaces.observation), examples(designed.spaces.follower_action)
    returned = terms(seen, moves, seen)
    name = "leader(observation, action, next_observation)"
    if options.channel == "transitions" and len(returned) > 1:
        raise TypeError(
            "leader(observation, action, next_observation) returned two tensors; expected "
            "log p(next_observation | observation, action) alone for channel='transitions'"
        )
    check_differentiable(name, returned[-1:] if options.channel == "rewards" else returned)
    check_same(name, returned[-1], terms(seen[:2], moves[:2], seen[:2])[-1])
    if options.estimator == "naive" and options.channel == "rewards" and len(returned) == 1:
        raise ValueError(
            f"{name} returned one tensor with estimator='naive', which follows the leader's own "
            "reward alone; expected a pair of tensors"
        )

    def acts_by_design(batch: Batch) -> tuple[torch.Tensor | None, torch.Tensor]:
        names = ("observation", "follower_action", "next_observation")
        found = terms(*(batch.valid(name) for name in names))
        if options.channel == "transitions":
            return found[0], found[0]
        own = found[0] if len(found) == 2 and found[0].requires_grad else None
        return own, found[-1]

    return designed, acts_by_design


def _critic_kind(given: str | Mapping[str, Any] | None, spaces: Spaces) -> Kind:
    if given is not None:
        return component("critic", given, FUNCTIONS)
    number = choice_encoding(spaces).num_elements
    return Table() if number is not None and number <= LARGEST_TABLE else RandomFeatures()


def _policy(
    follower: Follower, spaces: Spaces, options: Options, rng: np.random.Generator
) -> FollowerPolicy:
    if options.information == "full":
        return known_policy(follower, spaces.follower_action, options.answers)
    seen, actions = spaces.follower_observation, spaces.follower_action
    kind: BeliefKind
    if options.belief is not None:
        kind = component("belief", options.belief, BELIEFS)
    else:
        number = Encoding.of("the follower's observation space", seen).num_elements
        few = (
            number is not None
            and isinstance(actions, gymnasium.spaces.Discrete)
            and number * int(actions.n) <= LARGEST_TABLE
        )
        kind = Table() if few else Network()
    return make_belief(kind, seen, actions, options.answers, rng)
