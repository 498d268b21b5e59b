"""From `setting` strings to columns, and from settings to the study they belong to."""

import pandas as pd

from bilevelrl.records import setting_dict

#: Identify a group of runs that differ in the seed only.
GROUP = ["problem", "estimator", "variant", "setting"]
#: The conditions of the main comparison; a setting with any other belongs to a study of its own.
_MAIN = {"temperature", "env_steps_per_update", "return"}


def study_of(setting: str) -> str:
    """Name of the study: "main", "truncated_follower", "initial_spread", "other", or its own."""
    extra = set(setting_dict(setting)) - _MAIN
    if not extra:
        return "main"
    if extra == {"study"}:
        return setting_dict(setting)["study"]
    if "follower" in extra:
        return "truncated_follower" if setting_dict(setting)["follower"] == "truncated" else "other"
    return "initial_spread" if extra == {"initial_spread"} else "other"


def with_conditions(table: pd.DataFrame, default_spread: float = 0.01) -> pd.DataFrame:
    """Add columns study, temperature, budget, initial_spread, policy_iterations and start.

    Args:
        table: any table with a column `setting`.
        default_spread: initial spread of settings that do not name one (the paper's).

    Returns:
        A copy. `budget` is env_steps_per_update, 0 for estimators that sample nothing;
        `policy_iterations` is 0 and `start` empty where the follower is exact.
    """
    settings = table["setting"].unique()
    columns = pd.DataFrame(
        [_conditions(str(setting), default_spread) for setting in settings],
        index=settings,
        columns=[
            "study",
            "temperature",
            "budget",
            "initial_spread",
            "policy_iterations",
            "start",
        ],
    )
    chosen = columns.loc[table["setting"]].set_axis(table.index)
    return pd.concat([table, chosen], axis=1)


def spread_study(table: pd.DataFrame) -> pd.DataFrame:
    """The initial-spread study with the main comparison's rows, which are its default spread.

    Args:
        table: from `with_conditions`, with a column variant.
    """
    key = ["problem", "estimator", "variant", "temperature", "budget"]
    study = table[table["study"] == "initial_spread"]
    main = table[table["study"] == "main"]
    studied = pd.MultiIndex.from_frame(study[key]).unique()
    default = main[pd.MultiIndex.from_frame(main[key]).isin(studied)]
    return pd.concat([default, study], ignore_index=True)


def _conditions(setting: str, default_spread: float) -> tuple[str, float, int, float, int, str]:
    given = setting_dict(setting)
    return (
        study_of(setting),
        float(given.get("temperature", "nan")),
        int(given.get("env_steps_per_update", 0)),
        float(given.get("initial_spread", default_spread)),
        int(given.get("policy_iterations", 0)),
        given.get("start", ""),
    )
