"""What every hypergradient estimator offers."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from bilevelrl.core.arrays import AnyArray, Floats
from bilevelrl.core.seeding import Streams

#: Arrays that outlive a call, the runs as their first axis.
Memory = dict[str, AnyArray]
Response_contra = TypeVar("Response_contra", contravariant=True)


@dataclass(frozen=True, eq=False)
class Estimate:
    """One (possibly noisy) hypergradient per run, and what it cost.

    Attributes:
        direct: part through the leader's own reward, shape (R, D).
        indirect: part through the follower's response, shape (R, D).
        leader_return_sampled: what the leader could have measured, (R,); NaN without samples.
        env_steps: transitions that the estimator consumed per run; 0 for model-based ones.
        oracle_steps: transitions that an oracle consumed on top.
        again: dJ/dθ at another θ, both (R, D), from the same samples; None where it needs new ones.
        proposal: the next θ, shape (R, D), of a leader that chooses it itself; None takes a step
            along the gradient.
        recommended: the best θ that such a leader knows, shape (R, D), which it need not play; None
            is the θ of the estimate.
        measured: what is known of its errors, by name, each (R,), recorded with the coordinates.
    """

    direct: Floats
    indirect: Floats
    leader_return_sampled: Floats
    env_steps: int = 0
    oracle_steps: int = 0
    again: Callable[[Floats], Floats] | None = None
    proposal: Floats | None = None
    recommended: Floats | None = None
    measured: dict[str, Floats] = field(default_factory=dict)

    @property
    def gradient(self) -> Floats:
        """Estimate of dJ/dθ, shape (R, D)."""
        return self.direct + self.indirect


class Estimator(Protocol[Response_contra]):
    """Maps (θ, the follower's response, samples) to an estimate of dJ/dθ, for R runs at once.

    Implementations are frozen dataclasses: fields are hyper-parameters, randomness comes from
    `streams`, and what outlives a call (a critic's table) is the caller's `memory`.
    """

    def start(self, streams: Streams) -> Memory:
        """Memory before the first estimate; every array has the runs as its first axis."""

    def estimate(
        self, theta: Floats, response: Response_contra, memory: Memory, streams: Streams
    ) -> Estimate:
        """Estimate dJ/dθ at θ, shape (R, D); updates `memory` in place."""
