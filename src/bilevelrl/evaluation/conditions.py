"""From `setting` strings to columns, and from settings to the study they belong to."""

from collections.abc import Mapping

import pandas as pd

from bilevelrl.runs.records import setting_dict

#: Identify a group of runs that differ in the seed only.
GROUP = ["problem", "estimator", "variant", "setting"]
#: Studies of what the follower is, and of what the leader sees of it.
FOLLOWER_STUDIES = ("truncated_follower", "learning_follower", "information")
#: The conditions of the main comparison; a setting with any other belongs to a study of its own.
_MAIN = {"temperature", "env_steps_per_update", "return", "follower", "information"}


def study_of(setting: str) -> str:
    """Name of the study that a setting belongs to.

    It is what the setting says, or "main", "truncated_follower", "learning_follower",
    "information", "initial_spread", "other".
    """
    given = setting_dict(setting)
    if "study" in given:
        return given["study"]
    follower = given.get("follower", "exact")
    if follower != "exact":
        return "truncated_follower" if follower == "truncated" else "learning_follower"
    extra = set(given) - _MAIN
    if "believed_temperature" in extra:
        return "believed_temperature"
    if given.get("information", "full") != "full" and extra <= {"belief"}:
        return "information"
    if not extra:
        return "main"
    return "initial_spread" if extra == {"initial_spread"} else "other"


def with_conditions(table: pd.DataFrame) -> pd.DataFrame:
    """Add columns study, temperature, budget, initial_spread, and what is said of the follower.

    Args:
        table: any table with a column `setting`.

    Returns:
        A copy. `budget` is env_steps_per_update, 0 for estimators that sample nothing; `follower`,
        `information` and `belief` are as in params.yaml; `policy_iterations` is 0 and `start` empty
        where the follower is exact; `initial_spread` is missing where it is the problem's own.
    """
    settings = table["setting"].unique()
    columns = pd.DataFrame(
        [_conditions(str(setting)) for setting in settings],
        index=settings,
        columns=[
            "study",
            "temperature",
            "budget",
            "initial_spread",
            "policy_iterations",
            "start",
            "follower",
            "information",
            "belief",
        ],
    ).astype({"temperature": "float64", "budget": "int64", "initial_spread": "float64",
              "policy_iterations": "int64"})  # fmt: skip
    chosen = columns.loc[table["setting"]].set_axis(table.index)
    return pd.concat([table, chosen], axis=1)


def reported(table: pd.DataFrame, kinds: Mapping[str, str | None]) -> pd.DataFrame:
    """Rows whose J is the kind of return that their problem reports.

    Args:
        table: columns problem and setting.
        kinds: by problem; None where there is one J.
    """
    own = table["setting"].map(lambda setting: setting_dict(setting).get("return"))
    return table[(own == table["problem"].map(kinds)) | own.isna()]


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


def _conditions(setting: str) -> tuple[str | float | int, ...]:
    given = setting_dict(setting)
    return (
        study_of(setting),
        float(given.get("temperature", "nan")),
        int(given.get("env_steps_per_update", 0)),
        float(given.get("initial_spread", "nan")),
        int(given.get("policy_iterations", 0)),
        given.get("start", ""),
        given.get("follower", "exact"),
        given.get("information", "full"),
        given.get("belief", ""),
    )
