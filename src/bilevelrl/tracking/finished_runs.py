"""What a finished run shows to people: identity, thinned curves, one final number, artifacts."""

import json
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd

from bilevelrl.core.arrays import Floats
from bilevelrl.problems import registry
from bilevelrl.runs.records import CURVE_COLUMNS, Cell, RunIdentity, is_late
from bilevelrl.runs.table_files import CorruptRecord, write_json
from bilevelrl.tracking.theta_files import write_theta

POINTS = 25  # at most, per run, of the curve that one looks at first and of its x-axis
THINNING = 4  # of the others; SQLite takes 0.3 kB a point, and the full curves stay under DVC
#: Columns of a curve, by section of the chart view; MLflow sorts sections and charts by name.
SECTIONS: dict[str, tuple[str, ...]] = {
    "1_return": tuple(name for name in CURVE_COLUMNS if "_return" in name),
    "2_gradient": ("gradient_norm", "direct_norm", "indirect_norm", "cosine"),
    "3_follower": ("follower_accuracy", "follower_kl", "follower_value_gap"),
    "4_transitions": ("env_steps", "oracle_steps", "follower_steps"),
}
DENSE = ("leader_return", "env_steps")

#: Experiment of followers that learn against a leader that does not move.
FOLLOWERS = "followers"
#: Ends the name of the experiment of a hyper-parameter search.
SWEEP = "-tuning"
Point = tuple[str, float, int]  # metric, value, step


@dataclass(frozen=True, eq=False)
class Entry:
    """One line of the tracking store to be: which run, and what it shows."""

    cell: str  # the group within which slots are retired; its first part names the experiment
    slot: str  # which run this is, whatever its result
    run_key: str  # digest of everything that determines its result
    name: str
    params: Mapping[str, object]
    points: list[Point]
    tags: Mapping[str, str]
    write_artifacts: Callable[[Path], None] | None = None  # fills a folder with its files


def cell_name(experiment: str, group: str) -> str:
    """A problem and an estimator, or `FOLLOWERS` and a problem."""
    return f"{experiment}/{group}"


def sweep_cell(sweep: str) -> str:
    """The cell of a search's candidates."""
    return f"{sweep}{SWEEP}"


def experiment_of(cell: str) -> str:
    """The MLflow experiment in which a cell is shown."""
    return cell.partition("/")[0]


def thinned(curve: pd.DataFrame) -> list[Point]:
    """Points of every column, the first and the last row among them; of a constant, one.

    A quantity that the estimator does not have has none. What never changes stands at step 0,
    where the UI draws a bar.
    """
    rows = curve.sort_values("update")
    updates = rows["update"].to_numpy(int)
    dense = np.linspace(0, len(rows) - 1, min(len(rows), POINTS)).round().astype(int)
    sparse = np.unique(np.append(dense[::THINNING], dense[-1:]))
    points: list[Point] = []
    for section, names in SECTIONS.items():
        for name in names:
            values, shown = rows[name].to_numpy(float), dense if name in DENSE else sparse
            places = [(row, int(updates[row])) for row in shown]
            if (values == values[0]).all():
                places = [(0, 0)]
            if not np.isnan(values).all():
                points += [(f"{section}/{name}", float(values[row]), at) for row, at in places]
    return points


def final_leader_return(curve: pd.DataFrame) -> Point:
    """Mean of `leader_return_mean` over the last tenth of the updates."""
    last_tenth = is_late(curve["update"], int(curve["update"].max()) + 1, 0.1)
    mean = curve.loc[last_tenth, "leader_return_mean"].mean(skipna=False)
    return "1_return/leader_return_final", float(mean), 0


def flattened(values: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """Nested keys joined by dots."""
    flat: dict[str, object] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= flattened(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def draw_pictures(who: RunIdentity, theta: Floats, folder: Path) -> None:
    """Let the module `pictures` of the problem draw θ; a run without a result has none."""
    if not who.failure and registry.has(who.kind, "pictures"):
        registry.part(who.kind, "pictures").draw(theta, folder)


def cell_entries(workspace: str, cell: Cell) -> Iterator[Entry]:
    """How the runs of a cell are shown, see `run_entry`.

    Raises:
        CorruptRecord: if a run has no curve.
    """
    curves = dict(iter(cell.curves.groupby(["variant", "setting", "seed"])))
    for who, theta in zip(cell.runs, cell.leaders, strict=True):
        key = (who.variant, who.setting, who.seed)
        if key not in curves:
            raise CorruptRecord(f"no curve of {who.problem}, {who.estimator}, {key}")
        yield run_entry(workspace, who, curves[key], theta)


def slot(workspace: str, who: RunIdentity) -> str:
    """Which run of a workspace this is, whatever its result."""
    names = (workspace, who.problem, who.estimator, who.variant, who.setting, str(who.seed))
    return "/".join(names)


def run_entry(workspace: str, who: RunIdentity, curve: pd.DataFrame, theta: Floats) -> Entry:
    """How a run is shown: one flat run in the experiment named like its problem.

    Its curve has columns `CURVE_COLUMNS`; θ, shape (D,), is final.
    """
    names = {"problem": who.problem, "estimator": who.estimator, "variant": who.variant}
    failure = {"failure": who.failure} if who.failure else {}
    identity = {**names, "setting": who.setting, "seed": who.seed}

    def write_artifacts(folder: Path) -> None:
        write_theta(theta, folder)
        write_json(folder / "params.json", {**who.hyperparameters, **identity})
        draw_pictures(who, theta, folder)

    return Entry(
        cell=cell_name(who.problem, who.estimator),
        slot=slot(workspace, who),
        run_key=who.run_key,
        name=" ".join(filter(None, (who.estimator, f"seed={who.seed}", who.variant, who.setting))),
        params={**flattened(who.hyperparameters), **identity},
        points=[*thinned(curve), final_leader_return(curve)],
        tags={**names, **failure, "dvc_stage": f"leaders@{who.problem}-{who.estimator}"},
        write_artifacts=write_artifacts,
    )


def follower_entry(workspace: str, curve: pd.DataFrame) -> Entry:
    """How a follower that learned is shown, of columns `LEARNING_COLUMNS`, against transitions."""
    keys = ("problem", "follower", "variant", "temperature", "seed")
    identity = {key: curve[key].iloc[0] for key in keys}
    problem = str(identity["problem"])
    points = [
        (name, float(value), int(step))
        for name in ("value_gap", "relative_gap", "kl")
        for value, step in zip(curve[name], curve["steps"], strict=True)
    ]
    return Entry(
        cell=cell_name(FOLLOWERS, problem),
        slot="/".join((workspace, *map(str, identity.values()))),
        run_key=sha256(curve.to_csv(index=False).encode()).hexdigest()[:16],
        name=f"{problem} {identity['follower']} seed={identity['seed']}",
        params=identity,
        points=points,
        tags={"problem": problem, "dvc_stage": f"followers@{problem}"},
    )


def candidate_entry(
    workspace: str, sweep: str, tags: Mapping[str, str], candidate: Mapping[Hashable, float | str]
) -> Entry:
    """How one candidate is shown, a row of a search's table; its content is its key.

    The tags are the problem and the estimator of the search.
    """
    params = {str(key): value for key, value in candidate.items() if pd.notna(value)}
    scores = {key: float(params.pop(key)) for key in ("score", "standard_error") if key in params}
    name = " ".join((tags["estimator"], *(f"{key}={params[key]}" for key in sorted(params))))
    content = json.dumps([params, scores, dict(tags)], sort_keys=True, default=str)
    return Entry(
        cell=sweep_cell(sweep),
        slot=f"{workspace}/{name}",
        run_key=sha256(content.encode()).hexdigest()[:16],
        name=name,
        params={**params, **tags},
        points=[(key, value, 0) for key, value in scores.items()],
        tags={**tags, "dvc_stage": f"search@{sweep}"},
    )
