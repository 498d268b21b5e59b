"""Where episodes of any length start and end in arrays of transitions."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bilevelrl.hypergradients.arrays import AnyArray, Flags, Floats, expect_array, flags

Counts = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Carry:
    """Where rows of transitions stopped, in the middle of episodes or at their end.

    Attributes:
        step: number of the next transition in its episode, from 0, shape (R,).
        trace: the trace of the running episodes, 0 where none runs, shape (R,).
    """

    step: Counts
    trace: Floats

    @classmethod
    def start(cls, num_rows: int) -> "Carry":
        """Of rows that start an episode each, and that later batches go on with."""
        return cls(np.zeros(num_rows, dtype=np.int64), np.zeros(num_rows))


@dataclass(frozen=True, eq=False)
class Episodes:
    """Transitions in order of time, episode after episode, one row or R rows of N of them.

    Attributes:
        shape: of every array over these transitions, (N,) or (R, N).
        terminated: nothing comes after the transition, shape (R, N).
        last: the episode ended there, was cut, or the row is over, shape (R, N).
        valid: no padding, shape (R, N).
        start: the transition is an episode's first, shape (R, N).
        step: number of the transition in its episode, from 0, shape (R, N).
        goes_on: the row stops in the middle of an episode, shape (R,).
        carry: where these rows go on from.
        pieces: rows are pieces of longer ones, which go on in later batches.
    """

    shape: tuple[int, ...]
    terminated: Flags
    last: Flags
    valid: Flags
    start: Flags
    step: Counts
    goes_on: Flags
    carry: Carry
    pieces: bool

    @classmethod
    def read(
        cls,
        terminated: AnyArray,
        truncated: AnyArray | None = None,
        *,
        mask: AnyArray | None = None,
        carry: Carry | None = None,
    ) -> "Episodes":
        """Read flags of shape (N,) or (R, N), each of booleans or of zeros and ones.

        Args:
            terminated: nothing comes after the transition, as `gymnasium.Env.step` tells it.
            truncated: the episode was cut after the transition; None says never.
            mask: False at padding, between episodes or at a row's end; None has no padding.
            carry: of the batch before (`Coefficients.carry`), or `Carry.start` in the first one,
                where rows are pieces that go on in the next batch; None has whole rows.

        Raises:
            TypeError: flags are neither booleans nor zeros and ones, or `carry` is none.
            ValueError: a shape differs, all is padding, or padding cuts an episode in two.
        """
        expect_array("terminated", terminated)
        shape = tuple(terminated.shape)
        ends = flags("terminated", terminated, shape)
        closed = ends.copy()
        if truncated is not None:
            closed |= flags("truncated", truncated, shape)
        valid = np.ones_like(ends) if mask is None else flags("mask", mask, shape)
        pieces = carry is not None
        carry = _carried(carry, valid)
        _check_padding(valid, closed)
        last = closed.copy()
        last[:, :-1] |= ~valid[:, 1:]
        last[:, -1] = True
        start = valid.copy()
        start[:, 1:] &= last[:, :-1] | ~valid[:, :-1]
        start[:, 0] &= carry.step == 0
        return cls(
            shape,
            terminated=ends & valid,
            last=last & valid,
            valid=valid,
            start=start,
            step=_steps(start, carry.step),
            goes_on=valid[:, -1] & ~closed[:, -1],
            carry=carry,
            pieces=pieces,
        )

    @property
    def num_started(self) -> Counts:
        """Episodes that start in each row, shape (R,)."""
        started: Counts = self.start.sum(axis=1)
        return started


def _carried(carry: Carry | None, valid: Flags) -> Carry:
    if carry is None:
        return Carry.start(len(valid))
    if not isinstance(carry, Carry):
        raise TypeError(
            f"carry is a {type(carry).__name__}; expected a Carry, as Coefficients.carry"
        )
    step, trace = np.asarray(carry.step), np.asarray(carry.trace)
    if step.shape != (len(valid),) or trace.shape != step.shape:
        raise ValueError(
            f"carry has shapes {step.shape} and {trace.shape}; expected one number per row, "
            f"({len(valid)},)"
        )
    if not np.issubdtype(step.dtype, np.integer) or (step < 0).any():
        raise ValueError(f"carry.step is {step.tolist()}; expected integers from 0")
    if not np.isfinite(trace).all():
        raise ValueError(f"carry.trace is {trace.tolist()}; expected finite numbers")
    torn = (step > 0) & ~valid[:, 0]
    if torn.any():
        raise ValueError(
            f"mask is False at transition 0 of row {int(np.argmax(torn))}, in the middle of the "
            "episode that carry goes on with; expected its next transition"
        )
    return Carry(step.astype(np.int64), trace.astype(np.float64))


def _steps(start: Flags, first_step: Counts) -> Counts:
    place = np.broadcast_to(np.arange(start.shape[1]), start.shape)
    newest = np.maximum.accumulate(np.where(start, place, -1), axis=1)
    steps: Counts = np.where(newest < 0, place + first_step[:, None], place - newest)
    return steps


def _check_padding(valid: Flags, closed: Flags) -> None:
    if not valid.any():
        raise ValueError("mask is False everywhere; expected at least one transition")
    more = np.flip(np.cumsum(np.flip(valid, axis=1), axis=1), axis=1)  # from here on
    torn = valid[:, :-1] & ~valid[:, 1:] & ~closed[:, :-1] & (more[:, 1:] > 0)
    if torn.any():
        row, place = (int(index) for index in np.argwhere(torn)[0])
        raise ValueError(
            f"mask is False after transition {place} of row {row}, in the middle of an episode; "
            "expected padding at a row's end, or behind a terminated or truncated transition"
        )
