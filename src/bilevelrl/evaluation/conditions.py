"""What tells settings apart, as columns: the study they belong to and their conditions."""

from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path

import pandas as pd

from bilevelrl.runs.records import RunIdentity
from bilevelrl.runs.table_files import CorruptRecord

#: Identify a group of runs that differ in the seed only.
GROUP = ["problem", "estimator", "variant", "setting"]
#: Studies of what the follower is, and of what the leader sees of it.
FOLLOWER_STUDIES = ("truncated_follower", "learning_follower", "information")
#: What `with_conditions` adds; every table that says more than `setting` has these.
CONDITION_COLUMNS: dict[str, str] = {
    "study": "string",
    "temperature": "float64",
    "budget": "int64",  # transitions, trips or days per update; 0 where nothing is sampled
    "case": "string",  # which J it is, of problems with several; see `core.search.Searched.add`
    "initial_spread": "float64",  # missing where it is the problem's own
    "policy_iterations": "int64",  # 0 where the follower is not truncated
    "start": "string",  # of a follower that goes on or starts anew; empty where neither is asked
    "follower": "string",  # as in params.yaml, like the next two
    "information": "string",
    "belief": "string",  # empty where there is no choice
    "model": "string",  # "identified" of a leader that identifies one, else empty
    "return": "string",  # which J is reported; empty where there is one
    "setting_without_budget": "string",  # equal for settings that differ in `budget` only
    "special": "string",  # whatever is not as usual, in words; empty in most of the main comparison
}
#: The conditions of the main comparison; a setting with any other belongs to a study of its own.
_MAIN = {"temperature", "env_steps_per_update", "return", "follower", "information"}
#: What tells one J from another of the same problem, in the order of `case`.
_CASE = ("objective", "tollable", "players", "levers", "houses", "tariff_weight", "day_spread")
#: Conditions of the main comparison where J comes in cases; there nobody reads the follower.
_MAIN_OF_CASES = {*_CASE, "leader", "rationality", "trips_per_update", "days_per_update"}
#: Conditions that say how much an estimator samples per update; a setting has one of them at most.
_BUDGETS = ("env_steps_per_update", "trips_per_update", "days_per_update")
#: Conditions that have columns of their own, and what the others are unless a setting says so.
_NAMED = {"temperature", *_BUDGETS, "study", "return"}
_USUAL = {"follower": "exact", "information": "full"}


def study_of(conditions: Mapping[str, object]) -> str:
    """Name of the study that a setting with these `RunIdentity.conditions` belongs to.

    It is what the setting says, or "main", "truncated_follower", "learning_follower",
    "information", "believed_temperature", "initial_spread", "identified", "other".
    """
    if "study" in conditions:
        return str(conditions["study"])
    if "model" in conditions:
        return "identified"
    follower = conditions.get("follower", "exact")
    if follower != "exact":
        return "truncated_follower" if follower == "truncated" else "learning_follower"
    extra = set(conditions) - _MAIN
    if extra and extra <= _MAIN_OF_CASES:
        return "main"
    if "believed_temperature" in extra:
        return "believed_temperature"
    if conditions.get("information", "full") != "full" and extra <= {"belief"}:
        return "information"
    return {(): "main", ("initial_spread",): "initial_spread"}.get((*extra,), "other")


def conditions_of(runs: Iterable[RunIdentity]) -> pd.DataFrame:
    """The settings of runs and their conditions, as `results/conditions.csv` has them.

    Returns:
        Text: columns `GROUP`, study, and one per condition that any of the settings has, by name;
        empty where a setting has no such condition. One row per setting, sorted.
    """
    rows = {}
    for run in runs:
        group = tuple(str(getattr(run, name)) for name in GROUP)
        told = {key: str(value) for key, value in run.conditions.items()}
        rows[group] = dict(zip(GROUP, group, strict=True)) | told | {"study": study_of(told)}
    return stacked([pd.DataFrame([rows[group] for group in sorted(rows)])])


def stacked(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Tables of `conditions_of`, one below the other."""
    table = pd.concat([*tables], ignore_index=True).fillna("")
    keys = sorted(set(table.columns) - {*GROUP, "study"})
    return table[[*GROUP, "study", *keys]]


def read_conditions(path: Path) -> pd.DataFrame:
    """What `conditions_of` returned, from a file.

    Raises:
        CorruptRecord: if the file is missing or lacks a column.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise CorruptRecord(f"{path}: {error}") from error
    if missing := [name for name in (*GROUP, "study") if name not in table]:
        raise CorruptRecord(f"{path}: no columns {missing}, got {list(table.columns)}")
    return table


def with_conditions(table: pd.DataFrame, conditions: pd.DataFrame) -> pd.DataFrame:
    """A copy of a table with columns `GROUP`, and `CONDITION_COLUMNS` added.

    Args:
        table: any.
        conditions: from `conditions_of`, of all its settings.

    Raises:
        CorruptRecord: if `conditions` lacks a setting of the table.
    """
    typed = pd.DataFrame(
        [_typed(row) for row in conditions.to_dict("records")], columns=[*GROUP, *CONDITION_COLUMNS]
    ).astype({name: kind for name, kind in CONDITION_COLUMNS.items() if kind != "string"})
    joined = table.merge(typed, on=GROUP, how="left", validate="many_to_one")
    for unknown in joined.loc[joined["study"].isna(), GROUP].to_numpy():
        raise CorruptRecord(f"nothing is known of the conditions of {'/'.join(map(str, unknown))}")
    return joined.astype({"budget": "int64", "policy_iterations": "int64"}).set_axis(table.index)


def _typed(row: Mapping[Hashable, str]) -> dict[str, object]:
    given = {str(key): value for key, value in row.items() if value and key not in GROUP}
    usual = _USUAL | {"return": "", "belief": "", "start": "", "model": ""}
    return {
        **{name: row[name] for name in (*GROUP, "study")},
        **{name: given.get(name, other) for name, other in usual.items()},
        "temperature": float(given.get("temperature", "nan")),
        "budget": int(next((given[key] for key in _BUDGETS if key in given), 0)),
        "case": ";".join(f"{key}={given[key]}" for key in _CASE if key in given),
        "initial_spread": float(given.get("initial_spread", "nan")),
        "policy_iterations": int(given.get("policy_iterations", 0)),
        "setting_without_budget": ";".join(
            f"{key}={value}" for key, value in given.items() if key not in _BUDGETS
        ),
        "special": ", ".join(
            f"{key} = {value}"
            for key, value in given.items()
            if key not in _NAMED and _USUAL.get(key) != value
        ),
    }


def typed(tables: Iterable[pd.DataFrame], columns: Mapping[str, str]) -> pd.DataFrame:
    """Tables one below the other, with these columns and types even where there are no rows."""
    empty = pd.DataFrame(columns=list(columns)).astype(columns)
    filled = [table[list(columns)].astype(columns) for table in tables if len(table)]
    return pd.concat(filled, ignore_index=True) if filled else empty


def main_at_first_temperature(table: pd.DataFrame, baselines: pd.DataFrame) -> pd.DataFrame:
    """Rows of the main comparison at the temperature that is the first of its problem's baselines.

    These have columns `BASELINE_COLUMNS`, and the order of params.yaml.
    """
    first = baselines.drop_duplicates("problem").set_index("problem")["temperature"]
    at_first = table["temperature"] == table["problem"].map(first).astype(float)
    return table[at_first & (table["study"] == "main")]


def reported(table: pd.DataFrame, kinds: Mapping[str, str | None]) -> pd.DataFrame:
    """Rows whose J is the kind of return that their problem reports, None if there is one J."""
    own = table["return"]
    return table[(own == table["problem"].map(kinds)) | (own == "")]


def spread_study(table: pd.DataFrame) -> pd.DataFrame:
    """The initial-spread study with the main comparison's rows, which are its default spread."""
    key = ["problem", "estimator", "variant", "temperature", "budget"]
    study = table[table["study"] == "initial_spread"]
    main = table[table["study"] == "main"]
    studied = pd.MultiIndex.from_frame(study[key]).unique()
    default = main[pd.MultiIndex.from_frame(main[key]).isin(studied)]
    return pd.concat([default, study], ignore_index=True)
