"""The search for the best known J of a problem."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pandas as pd

from bilevelrl.core.arrays import Floats
from bilevelrl.core.ascent import Adam, AscentRule, geometric_decay
from bilevelrl.core.exact import Hypergradient
from bilevelrl.core.games import AscentParams


@dataclass(eq=False)
class Searched:
    """What the environments stage writes of a problem.

    Attributes:
        model: the problem as arrays, by name.
        entries: of metadata.json, one per variant and temperature.
        best_theta: shape (D,), by "<variant>_<temperature>".
        starts: variant, temperature, kind and name of every start, and the best J it led to.
        tables: what only this problem has, by the stem of its file.
    """

    model: dict[str, object]
    entries: list[dict[str, object]] = field(default_factory=list)
    best_theta: dict[str, Floats] = field(default_factory=dict)
    starts: list[tuple[str, float, str, str, float]] = field(default_factory=list)
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)

    def add(self, variant: str, temperature: float, **found: object) -> None:
        """One entry of metadata.json.

        Args:
            variant: name in params.yaml.
            temperature: β.
            found: `initial_return`, J at the initial θ; `charge_nothing_return`, J of a leader that
                charges nothing, if that means anything; `best_known`, the highest J that the search
                found, if somebody has searched; and more about the search. A problem with several J
                has an entry for each, whose `case` are the conditions that decide which it is, as
                "key=value" joined by ";". Shares of the best known J are shares of the way to it
                from `share_origin`, if there is one, and of its size otherwise.
        """
        absent = dict.fromkeys(("initial_return", "charge_nothing_return", "best_known"))
        self.entries.append({"variant": variant, "temperature": temperature} | absent | found)


def climb(
    hypergradient: Callable[[Floats], Hypergradient], num_parameters: int, search: AscentParams
) -> tuple[Floats, Floats, Floats]:
    """Adam along the direction of the exact hypergradient at (N, D), from θ ~ N(0, spread²).

    The step size falls to a thousandth.

    Returns:
        Starts (N, D), the θ with the highest J on the way from each (N, D), that J (N,).
    """
    shape = (search.starts, num_parameters)
    starts = search.spread * np.random.default_rng(search.seed).standard_normal(shape)
    decay = geometric_decay(1e-3, search.num_updates)
    rule = Adam(np.full(search.starts, search.step_size), normalise=True, decay=decay)
    return starts, *best_on_the_way(hypergradient, starts, rule, search.num_updates)


def best_on_the_way(
    hypergradient: Callable[[Floats], Hypergradient],
    starts: Floats,
    rule: AscentRule,
    num_updates: int,
) -> tuple[Floats, Floats]:
    """Ascent along the exact hypergradient from θ, shape (N, D).

    Returns:
        The θ with the highest J on the way from each start (N, D), that J (N,).
    """
    theta, optimiser = starts.copy(), rule.start(starts.shape)
    best, highest = starts.copy(), np.full(len(starts), -np.inf)
    for _ in range(num_updates):
        truth = hypergradient(theta)
        better = truth.leader_return > highest
        best[better], highest[better] = theta[better], truth.leader_return[better]
        theta = rule.step(theta, truth.total, optimiser)
    return best, highest


class Landscape(Protocol):
    """J of a problem with its exact follower."""

    def climb(self, search: AscentParams) -> tuple[Floats, Floats, Floats]:
        """See `climb`."""

    def initial_return(self, starts: Floats) -> float:
        """J at the runs' initial θ, of which `starts`, shape (N, D), may be a sample."""


def climbed(
    model: dict[str, object],
    search: AscentParams,
    landscape: Callable[[float], Landscape],
    variants: Sequence[str] = ("published", "corrected", "improved"),
) -> Searched:
    """The search by `climb` at every temperature, where variants do not differ in J."""
    searched = Searched(model)
    for temperature in search.temperatures:
        own = landscape(temperature)
        first, best, highest = own.climb(search)
        top = int(np.argmax(highest))
        initial = own.initial_return(first)
        for variant in variants:
            searched.best_theta[f"{variant}_{temperature}"] = best[top]
            searched.add(
                variant,
                temperature,
                initial_return=initial,
                best_known=float(highest[top]),
                best_known_start=f"random {top}",
                num_starts=search.starts,
            )
            searched.starts += [
                (variant, temperature, f"spread {search.spread:g}", f"{start}", float(value))
                for start, value in enumerate(highest)
            ]
    return searched
