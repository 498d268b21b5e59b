"""Every table that one stage writes and another reads: columns, types, reading and writing."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from bilevelrl.core.arrays import AnyArray, Floats
from bilevelrl.core.atomic_files import write_array
from bilevelrl.runs.table_files import (
    CorruptRecord,
    read_json,
    read_parquet,
    write_json,
    write_parquet,
)

#: One row per (setting, seed, recorded update) of a cell; a row closes a window of updates.
CURVE_COLUMNS: dict[str, str] = {
    "problem": "string",
    "estimator": "string",
    "variant": "string",
    "setting": "string",  # conditions as sorted key=value pairs joined by ";"
    "seed": "int64",
    "update": "int64",  # 0-based; values are those before this update's step
    "env_steps": "int64",  # transitions consumed before this update
    "oracle_steps": "int64",
    "follower_steps": "int64",  # transitions that the follower learned the played answer from
    "leader_return": "float64",  # exact J(θ) under what the follower plays, or of the θ that the
    # leader recommends under the best response, where it plays another one to learn from
    "leader_return_mean": "float64",  # mean of the same over all updates of the window
    "played_return": "float64",  # exact J of the played θ under what the follower plays
    "played_return_mean": "float64",  # mean of the same over all updates of the window
    "leader_return_sampled": "float64",  # what the leader's own batch showed
    "leader_return_optimal": "float64",  # exact J(θ) under the exact best response
    "gradient_norm": "float64",
    "direct_norm": "float64",
    "indirect_norm": "float64",
    "cosine": "float64",  # estimate against the exact hypergradient
    "follower_accuracy": "float64",  # certified bound on the soft value error
    "follower_kl": "float64",  # mean over states of KL(played || best response)
    "follower_value_gap": "float64",  # what its soft return lacks from where episodes start
}
#: One row per (setting, seed, recorded update, coordinate): where the run was; see
#: `core.training.Game.coordinates`. No rows where the problem has no coordinates.
COORDINATE_COLUMNS: dict[str, str] = {
    "problem": "string",
    "estimator": "string",
    "variant": "string",
    "setting": "string",
    "seed": "int64",
    "update": "int64",
    "coordinate": "string",
    "value": "float64",
}
#: One row per (point, rung, env_steps_per_update).
GRADIENT_COLUMNS: dict[str, str] = {
    "problem": "string",
    "point": "string",  # where θ comes from
    "rung": "string",  # `core.ladder.Rung.id`, as in the problem's ladder
    "estimator": "string",
    "variant": "string",
    "critic": "string",  # its kind, or "none"
    "note": "string",  # what sets it apart from others of its estimator and variant, in words
    "env_steps_per_update": "int64",
    "replicates": "int64",
    "exact_norm": "float64",  # |dJ/dθ|
    "bias": "float64",  # |mean - dJ/dθ|, its own sampling error removed in quadrature, floor 0
    "bias_error": "float64",  # standard error of the mean estimate: sqrt(trace(cov) / replicates)
    "standard_deviation": "float64",  # sqrt(trace(cov)) of one estimate
    "rmse": "float64",
    "cosine_mean": "float64",  # mean cosine of one estimate with dJ/dθ
    "cosine_of_mean": "float64",  # cosine of the mean estimate with dJ/dθ
}
#: Errors of estimates at one θ, from ever more transitions: one row per (information, belief,
#: critic, env_steps, seed).
INFORMATION_COLUMNS = (
    "problem", "point",
    "information",  # what the leader sees, see `core.observations`
    "belief",  # empty where there is no choice
    "critic",  # "learned", as in the cells, or "returns"
    "env_steps",  # transitions that the estimate is made from
    "seed",
    "error",  # |estimate - dJ/dθ| / |dJ/dθ|
)  # fmt: skip
#: What the step rule of the released code makes of estimates at θ = 0: one row per (estimator,
#: variant, critic, group of parameters).
DIRECTION_COLUMNS = (
    "estimator", "variant", "critic", "group", "env_steps_per_update", "pairs",
    "drift",  # mean component of the normalised update along (1, ..., 1) / sqrt(n)
    "drift_error",  # its standard error
    "direct_sd",  # root mean square over components of one estimate's standard deviation
    "indirect_sd",
    "indirect_mean",  # mean over components
    "indirect_mean_error",
    "estimate_norm", "estimate_norm_mean", "estimate_norm_max",  # over estimates; first the median
    "cosine_total", "cosine_total_error",  # mean cosine of one estimate with the exact dJ/dθ
    "cosine_direct", "cosine_direct_error",
    "cosine_indirect", "cosine_indirect_error",
)  # fmt: skip
#: One row per start of the search for the best known J; `kind` groups starts.
START_COLUMNS = ("problem", "variant", "temperature", "kind", "start", "leader_return")
#: Learning curves of followers against leaders that do not move: one row per (temperature, seed,
#: checkpoint).
LEARNING_COLUMNS = (
    "problem", "follower", "variant", "temperature", "seed",
    "steps",  # transitions so far
    "value_gap",  # soft return of the best response, from where episodes start, less the follower's
    "relative_gap",  # the same as a share of the former's size
    "kl",  # KL(learned || best response), averaged over the states that the best response visits
)  # fmt: skip
SUMMARY_COLUMNS = (
    "problem", "estimator", "variant", "setting", "metric", "value", "low", "high", "seeds",
)  # fmt: skip


Updates = TypeVar("Updates", pd.Series, AnyArray)


@dataclass(frozen=True)
class RunIdentity:
    """Which run this is.

    Attributes:
        setting: name of the conditions, see `setting_string`.
        run_key: digest of everything that determines the result.
        hyperparameters: all resolved parameters of the run, conditions included.
        failure: why the run has no result, its curve being NaN; empty if it has one.
        kind: of the problem, as in its block of params.yaml.
        conditions: what tells settings of one estimator and variant apart, by name.
        roles: what some of them are for, as key=role pairs joined by ";", see `core.settings.Role`.
    """

    problem: str
    estimator: str
    variant: str
    setting: str
    seed: int
    run_key: str
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    failure: str = ""
    kind: str = ""
    conditions: dict[str, Any] = field(default_factory=dict)
    roles: str = ""


@dataclass(frozen=True, eq=False)
class Cell:
    """Everything that the leaders stage writes for one problem and estimator.

    Runs in the order of `theta`, the final leader parameters, shape (R, D), NaN beyond the end of
    those that have fewer; tables with the columns `CURVE_COLUMNS` and `COORDINATE_COLUMNS`.
    """

    runs: tuple[RunIdentity, ...]
    theta: Floats
    curves: pd.DataFrame
    coordinates: pd.DataFrame = field(
        default_factory=lambda: pd.DataFrame(columns=list(COORDINATE_COLUMNS))
    )

    @property
    def leaders(self) -> list[Floats]:
        """θ of each run, shape (its own D,); one without a result has NaN for all numbers."""
        known = [int(np.isfinite(row).sum()) or len(row) for row in self.theta]
        return [row[:number] for row, number in zip(self.theta, known, strict=True)]

    @property
    def failures(self) -> dict[str, str]:
        """Runs without a result, by name, and why."""
        return {
            f"{run.problem} {run.estimator} {run.variant} {run.setting} seed {run.seed}": why
            for run in self.runs
            if (why := run.failure)
        }

    def write(self, folder: Path) -> None:
        """Write runs.json, theta.npy, curves.parquet and coordinates.parquet; byte-stable."""
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "runs.json", [asdict(run) for run in self.runs])
        write_array(folder / "theta.npy", self.theta)
        write_parquet(folder / "curves.parquet", self.curves, CURVE_COLUMNS)
        write_parquet(folder / "coordinates.parquet", self.coordinates, COORDINATE_COLUMNS)

    @classmethod
    def read(cls, folder: Path) -> "Cell":
        """Read what `write` wrote.

        Raises:
            CorruptRecord: if a file is missing, unreadable or inconsistent.
        """
        listed = read_json(folder / "runs.json")
        try:
            runs = tuple(RunIdentity(**entry) for entry in listed)
        except TypeError as error:
            raise CorruptRecord(f"{folder / 'runs.json'}: {error}") from error
        try:
            theta = np.load(folder / "theta.npy")
        except (OSError, ValueError, EOFError) as error:
            raise CorruptRecord(f"{folder / 'theta.npy'}: {error}") from error
        if len(theta) != len(runs):
            sizes = f"{len(theta)} rows in theta.npy, {len(runs)} in runs.json"
            raise CorruptRecord(f"{folder}: {sizes}")
        curves = read_parquet(folder / "curves.parquet", CURVE_COLUMNS)
        coordinates = read_parquet(folder / "coordinates.parquet", COORDINATE_COLUMNS)
        return cls(runs, theta, curves, coordinates)


def is_late(update: Updates, num_updates: Updates | int, fraction: float) -> Updates:
    """Whether rows belong to the last `fraction` of a run's updates; the last update always does.

    A row closes the window of updates that ends with its own, `update`, 0-based.
    """
    return (update + 1 > (1.0 - fraction) * num_updates) | (update + 1 >= num_updates)


def roles_string(roles: Mapping[str, str]) -> str:
    """`RunIdentity.roles` of what `Setting.roles` says, in its order."""
    return ";".join(f"{key}={role}" for key, role in roles.items())


def setting_string(conditions: Mapping[str, object]) -> str:
    """Sorted key=value pairs joined by ";", floats in their shortest form; nobody parses it."""
    return ";".join(f"{key}={value}" for key, value in sorted(conditions.items()))
