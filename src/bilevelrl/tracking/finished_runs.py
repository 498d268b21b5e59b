"""What a finished run shows to people: identity, thinned curves, one final number, artifacts."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bilevelrl.records import CURVE_COLUMNS, Cell, CorruptRecord, RunIdentity, write_json

POINTS = (
    100  # at most, per curve and run: 60 ms and 0.3 MB of SQLite; the full curve stays under DVC
)
CURVES = (
    "env_steps",  # a chart may use it as its x-axis
    "oracle_steps",
    "follower_steps",
    *(name for name, kind in CURVE_COLUMNS.items() if kind == "float64"),
)

#: Experiment of followers that learn against a leader that does not move.
FOLLOWERS = "followers"
Point = tuple[str, float, int]  # metric, value, step


@dataclass(frozen=True, eq=False)
class FinishedRun:
    """One run of a cell.

    Attributes:
        identity: which run.
        curve: its rows, columns `CURVE_COLUMNS`.
        theta: final leader parameters, shape (D,).
        tags: further tags of the caller's choice.
    """

    identity: RunIdentity
    curve: pd.DataFrame
    theta: NDArray[np.float64]
    tags: Mapping[str, str] = field(default_factory=dict)


#: Writes further files of a run into a folder, a drawing of its θ for instance.
Attach = Callable[[FinishedRun, Path], None]


@dataclass(frozen=True, eq=False)
class Entry:
    """One line of the tracking store to be.

    Attributes:
        experiment: the table that it belongs to.
        cell: the group within which slots are retired.
        slot: which run this is, whatever its result.
        run_key: digest of everything that determines its result.
        name, params, points, tags: what it shows.
        write_artifacts: fills a folder with its files.
    """

    experiment: str
    cell: str
    slot: str
    run_key: str
    name: str
    params: Mapping[str, Any]
    points: list[Point]
    tags: Mapping[str, str]
    write_artifacts: Callable[[Path], None] | None = None


def finished_runs(cell: Cell) -> Iterator[FinishedRun]:
    """The runs of a cell, each with its own rows of the curves.

    Raises:
        CorruptRecord: if a run has no curve.
    """
    curves = dict(iter(cell.curves.groupby(["variant", "setting", "seed"])))
    for identity, theta in zip(cell.runs, cell.theta, strict=True):
        key = (identity.variant, identity.setting, identity.seed)
        if key not in curves:
            raise CorruptRecord(f"no curve of {identity.problem}, {identity.estimator}, {key}")
        yield FinishedRun(identity, curves[key], theta)


def thinned(curve: pd.DataFrame) -> list[Point]:
    """At most `POINTS` points per column; the first and the last row are always among them."""
    rows = curve.sort_values("update")
    positions = np.linspace(0, len(rows) - 1, min(len(rows), POINTS)).round().astype(int)
    rows = rows.iloc[positions]
    return [
        (name, float(value), int(update))
        for name in CURVES
        if not rows[name].isna().all()  # a quantity that this estimator does not have
        for value, update in zip(rows[name], rows["update"], strict=True)
    ]


def final_leader_return(curve: pd.DataFrame) -> Point:
    """Mean of `leader_return_mean` over the last tenth of the updates."""
    last_tenth = curve["update"] >= 0.9 * (curve["update"].max() + 1)
    mean = curve.loc[last_tenth, "leader_return_mean"].mean(skipna=False)
    return "final_leader_return", float(mean), 0  # at step 0 the UI draws a bar, later a dot


def flattened(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested keys joined by dots."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= flattened(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def run_entry(workspace: str, stage: str, run: FinishedRun, attach: Attach | None = None) -> Entry:
    """How a run of a cell is shown: one flat run in the experiment named like its problem."""
    who = run.identity
    names = {"problem": who.problem, "estimator": who.estimator, "variant": who.variant}
    failure = {"failure": who.failure} if who.failure else {}
    identity = {**names, "setting": who.setting, "seed": who.seed}

    def write_artifacts(folder: Path) -> None:
        np.save(folder / "theta.npy", run.theta)
        write_json(folder / "params.json", {**who.hyperparameters, **identity})
        if attach:
            attach(run, folder)

    return Entry(
        experiment=who.problem,
        cell=f"{who.problem}/{who.estimator}",
        slot="/".join((workspace, *map(str, identity.values()))),
        run_key=who.run_key,
        name=" ".join(filter(None, (who.estimator, f"seed={who.seed}", who.variant, who.setting))),
        params={**flattened(who.hyperparameters), **identity},
        points=[*thinned(run.curve), final_leader_return(run.curve)],
        tags={
            **names,
            **failure,
            "dvc_stage": f"{stage}@{who.problem}-{who.estimator}",
            **run.tags,
        },
        write_artifacts=write_artifacts,
    )


def follower_entry(workspace: str, curve: pd.DataFrame) -> Entry:
    """How a follower that learned is shown: one run, with curves against its transitions.

    Args:
        workspace: whose run this is.
        curve: rows of one follower, columns `LEARNING_COLUMNS`.
    """
    keys = ("problem", "follower", "variant", "temperature", "seed")
    identity = {key: curve[key].iloc[0] for key in keys}
    points = [
        (name, float(value), int(step))
        for name in ("value_gap", "relative_gap", "kl")
        for value, step in zip(curve[name], curve["steps"], strict=True)
    ]
    return Entry(
        experiment=FOLLOWERS,
        cell=FOLLOWERS,
        slot="/".join((workspace, *map(str, identity.values()))),
        run_key=sha256(curve.to_csv(index=False).encode()).hexdigest()[:16],
        name=f"{identity['problem']} {identity['follower']} seed={identity['seed']}",
        params=identity,
        points=points,
        tags={"problem": str(identity["problem"])},
    )


def summary_entry(
    workspace: str,
    experiment: str,
    name: str,
    params: Mapping[str, Any],
    metrics: Mapping[str, float],
    tags: Mapping[str, str],
) -> Entry:
    """How one setting of a tuning sweep is shown; its content is its key."""
    content = json.dumps([dict(params), dict(metrics), dict(tags)], sort_keys=True, default=str)
    return Entry(
        experiment=experiment,
        cell=experiment,
        slot=f"{workspace}/{name}",
        run_key=sha256(content.encode()).hexdigest()[:16],
        name=name,
        params=flattened(params),
        points=[(key, value, 0) for key, value in metrics.items()],
        tags=tags,
    )
