"""Every gradient step is that of Stable-Baselines3's SAC on the same transitions and numbers."""

from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from stable_baselines3 import SAC
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.type_aliases import ReplayBufferSamples

from bilevelrl.models.deep.networks import Adam, Floats32, Networks
from bilevelrl.models.deep.sac import ReplayMemory, SoftActorCritic, Transitions

STATES, ACTIONS, COUNT = 3, 2, 32
TEMPERATURE, DISCOUNT, RATE, STEP_SIZE = 0.2, 0.9, 0.05, 3e-3


class Nothing(gymnasium.Env[Floats32, Floats32]):
    """Spaces for the other library's networks."""

    observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (STATES,), np.float32)
    action_space = gymnasium.spaces.Box(-1.0, 1.0, (ACTIONS,), np.float32)


def batch(seed: int) -> Transitions:
    rng = np.random.default_rng(seed)
    normal = [rng.standard_normal((COUNT, STATES)).astype(np.float32) for _ in range(2)]
    return Transitions(
        normal[0],
        rng.uniform(-1.0, 1.0, (COUNT, ACTIONS)).astype(np.float32),
        rng.standard_normal(COUNT).astype(np.float32),
        normal[1],
        (rng.random(COUNT) < 0.8).astype(np.float32),
    )


def theirs(activation: type[torch.nn.Module], critics: int) -> SAC:
    model = SAC(
        "MlpPolicy",
        Nothing(),
        learning_rate=STEP_SIZE,
        tau=RATE,
        gamma=DISCOUNT,
        ent_coef=TEMPERATURE,
        policy_kwargs={"net_arch": [16, 8], "activation_fn": activation, "n_critics": critics},
        seed=0,
        device="cpu",
    )
    model.set_logger(Logger(folder=None, output_formats=[]))
    return model


def ours(activation: Any, critics: int) -> SoftActorCritic:
    return SoftActorCritic(
        STATES,
        ACTIONS,
        hidden=(16, 8),
        activation=activation,
        critics=critics,
        temperature=TEMPERATURE,
        discount=DISCOUNT,
        target_rate=RATE,
        numbers=np.random.default_rng(0),
    )


def copied(layers: list[tuple[Floats32, Floats32]], place: int) -> list[torch.Tensor]:
    return [
        torch.as_tensor(np.ascontiguousarray(array))
        for weights, biases in layers
        for array in (weights[place].T, biases[place, 0])
    ]


def load(model: SAC, own: SoftActorCritic) -> None:
    model.actor.load_state_dict({k: torch.as_tensor(v) for k, v in own.actor_layers().items()})
    for network in (model.critic, model.critic_target):
        for place, one in enumerate(network.q_networks):
            for into, value in zip(
                one.parameters(), copied(own._value.layers(own.critics), place), strict=True
            ):
                into.data.copy_(value)


def train(model: SAC, seen: Transitions, normals: Floats32, monkeypatch: Any) -> None:
    """One step of the other library, from our transitions and random numbers."""
    columns = {
        "observations": seen.state, "actions": seen.action, "next_observations": seen.next_state,
        "dones": 1.0 - seen.goes_on[:, None], "rewards": seen.reward[:, None],
    }  # fmt: skip
    sample = ReplayBufferSamples(**{k: torch.as_tensor(v) for k, v in columns.items()})
    waiting = [torch.as_tensor(each) for each in normals]

    class Buffer:
        @staticmethod
        def sample(*_: Any, **__: Any) -> ReplayBufferSamples:
            return sample

    monkeypatch.setattr(model, "replay_buffer", Buffer)
    monkeypatch.setattr(
        torch.distributions.Normal,
        "rsample",
        lambda self, *_: self.loc + self.scale * waiting.pop(0),
    )
    model.train(1, COUNT)
    assert not waiting


@pytest.mark.parametrize("critics", [1, 2, 3])
@pytest.mark.parametrize(
    ("activation", "module"), [("relu", torch.nn.ReLU), ("tanh", torch.nn.Tanh)]
)
def test_ten_steps_are_those_of_stable_baselines3(
    activation: str, module: type[torch.nn.Module], critics: int, monkeypatch: Any
) -> None:
    own, model = ours(activation, critics), theirs(module, critics)
    load(model, own)
    before = own.actor.copy()
    for step in range(10):
        seen = batch(step)
        numbers = np.random.default_rng(100 + step)
        normals = numbers.standard_normal((2, COUNT, ACTIONS), dtype=np.float32)
        losses = own.step(seen, normals, STEP_SIZE)
        train(model, seen, normals, monkeypatch)
        logged = model.logger.name_to_value
        assert losses.critic == pytest.approx(logged["train/critic_loss"], rel=1e-4)
        assert losses.actor == pytest.approx(logged["train/actor_loss"], rel=1e-4, abs=1e-5)
    # Adam's first steps are as long as its step size, whatever the gradient's size.
    assert np.abs(own.actor - before).max() > 5 * STEP_SIZE
    for name, value in own.actor_layers().items():
        np.testing.assert_allclose(value, model.actor.state_dict()[name], rtol=2e-3, atol=2e-5)
    for parameters, network in ((own.critics, model.critic), (own.targets, model.critic_target)):
        layers = own._value.layers(parameters)
        for place, one in enumerate(network.q_networks):
            for value, other in zip(copied(layers, place), one.parameters(), strict=True):
                np.testing.assert_allclose(value, other.detach(), rtol=2e-3, atol=2e-5)


def test_a_deviation_at_its_bound_has_no_slope(monkeypatch: Any) -> None:
    own, model = ours("tanh", 2), theirs(torch.nn.Tanh, 2)
    own._policy.layers(own.actor)[-1][1][0, 0, ACTIONS:] = (3.0, -25.0)
    load(model, own)
    normals = np.random.default_rng(1).standard_normal((2, COUNT, ACTIONS), dtype=np.float32)
    own.step(batch(0), normals, STEP_SIZE)
    train(model, batch(0), normals, monkeypatch)
    layers, state = own.actor_layers(), model.actor.state_dict()
    np.testing.assert_array_equal(layers["log_std.bias"], np.float32([3.0, -25.0]))
    np.testing.assert_array_equal(state["log_std.bias"], np.float32([3.0, -25.0]))


def test_starts_as_pytorch_does() -> None:
    networks = Networks((50, 400, 1), "relu")
    parameters = networks.initial(2, np.random.default_rng(0))
    linear = torch.nn.Linear(50, 400)
    for weights, biases in networks.layers(parameters)[:1]:
        for own, other in ((weights, linear.weight), (biases, linear.bias)):
            bound = 1.0 / np.sqrt(50.0)
            assert np.abs(own).max() <= bound
            assert own.std() == pytest.approx(float(other.detach().std()), rel=0.1)
    assert (parameters[0] != parameters[1]).all()


def test_adam_is_pytorchs() -> None:
    rng = np.random.default_rng(0)
    parameters = rng.standard_normal((1, 20)).astype(np.float32)
    other = torch.nn.Parameter(torch.as_tensor(parameters.copy()))
    rule, optimiser = Adam(parameters), torch.optim.Adam([other], lr=0.01)
    for _ in range(30):
        gradient = rng.standard_normal((1, 20)).astype(np.float32)
        other.grad = torch.as_tensor(gradient)
        rule.step(gradient, 0.01)
        optimiser.step()
    np.testing.assert_allclose(parameters, other.detach().numpy(), rtol=1e-4, atol=1e-6)


def test_memory_forgets_the_oldest_and_reaches_all_others() -> None:
    memory = ReplayMemory(size=6, environments=2, states=1, actions=1)
    for step in range(5):
        rows = np.float32([[10 * step], [10 * step + 1]])
        memory.add(Transitions(rows, rows, rows[:, 0], rows + 1, np.float32([1.0, 0.0])))
    seen = memory.sample(400, np.random.default_rng(0))
    assert set(seen.reward.tolist()) == {20.0, 21.0, 30.0, 31.0, 40.0, 41.0}
    np.testing.assert_array_equal(seen.next_state, seen.state + 1)
    np.testing.assert_array_equal(seen.goes_on, seen.reward % 10 == 0)
    few = ReplayMemory(size=6, environments=2, states=1, actions=1)
    few.add(Transitions(rows, rows, rows[:, 0], rows, np.float32([1.0, 1.0])))
    assert set(few.sample(50, np.random.default_rng(0)).reward.tolist()) == {40.0, 41.0}
