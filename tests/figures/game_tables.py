"""Small tables of the games, as the pipeline writes them."""

from pathlib import Path

import numpy as np
import pandas as pd

from bilevelrl.evaluation.learning_curves import LEARNING_CURVE_COLUMNS
from bilevelrl.runs.records import GRADIENT_COLUMNS, SUMMARY_COLUMNS
from bilevelrl.runs.table_files import concatenate, write_csv
from tests.settings import conditioned

TOY, LQR = "discrete_toy_r1", "bilevel_lqr"
EXACT = "follower=exact;information=full"
MAIN = {
    TOY: f"env_steps_per_update=450;{EXACT};return=discounted;temperature=0.05",
    LQR: f"env_steps_per_update=400;{EXACT};return=undiscounted;temperature=0.1",
}
PAIRS = [("bc_hg", "published"), ("bc_hg", "corrected"), ("naive_on", "published")]
UPDATES = np.arange(5)
Q = np.linspace(0.0, 1.0, 11)


def budget_of(problem: str) -> int:
    return 450 if problem == TOY else 400


def summary(problem: str) -> pd.DataFrame:
    values = {
        "leader_return_mean": 0.5, "leader_return_se": 0.1, "leader_return_final_iqm": 0.4,
        "best_known": 2.0,
    }  # fmt: skip
    main, rows = MAIN[problem], []
    truncated = main.replace("follower=exact", "follower=truncated")
    rows += [(*pair, main, metric, value) for pair in PAIRS for metric, value in values.items()]
    rows.append((*PAIRS[0], main, "published_mean", 0.25))
    for pair in (PAIRS[0], PAIRS[2]):
        if problem == TOY:
            rows += [
                (*pair, f"{truncated};policy_iterations={k};start={start}", m, 0.3)
                for k in (1, 10)
                for start in ("carry", "reset")
                for m in ("leader_return_optimal_mean", "follower_kl")
            ]
        else:
            rows += [(*pair, f"{main};study=no_random_phase", m, v) for m, v in values.items()]
    listed = [
        (problem, estimator, variant, setting, metric, value, 0.5 * value, 2.0 * value, 3)
        for estimator, variant, setting, metric, value in rows
    ]
    return pd.DataFrame(listed, columns=list(SUMMARY_COLUMNS))


def curves(problem: str) -> pd.DataFrame:
    budget = budget_of(problem)
    measured = {
        "follower_steps": 0,
        "update": UPDATES, "env_steps": budget * (UPDATES + 1), "iqm": 0.4, "low": 0.3,
        "high": 0.6, "mean": 0.5, "standard_error": 0.6, "worst": 0.1, "failed": 0, "seeds": 3,
        "problem": problem, "setting": MAIN[problem],
    }  # fmt: skip
    stacked = concatenate(
        pd.DataFrame(measured | {"estimator": estimator, "variant": variant})
        for estimator, variant in PAIRS
    )
    return conditioned(stacked)[list(LEARNING_CURVE_COLUMNS)].astype(LEARNING_CURVE_COLUMNS)


def published(problem: str) -> pd.DataFrame:
    return pd.DataFrame(
        {"problem": problem, "estimator": "bc_hg", "temperature": 0.05 if problem == TOY else 0.1,
         "budget": budget_of(problem), "update": UPDATES + 1, "leader_return": 0.25,
         "standard_error": 0.1, "masked": 0}
    )  # fmt: skip


def as_published(problem: str, *, masked: bool) -> pd.DataFrame:
    """Ours at the published updates, and without the extreme seeds if that is asked for."""
    rows = published(problem).drop(columns=["leader_return", "masked"])
    return rows.assign(
        averaged_over=1, mean=0.5, standard_error=0.1,
        masked_mean=0.75 if masked else np.nan, masked_standard_error=0.1 if masked else np.nan,
    )  # fmt: skip


def gradients(problem: str) -> pd.DataFrame:
    rows = [
        dict.fromkeys(GRADIENT_COLUMNS, 0.5)
        | {"problem": problem, "estimator": estimator, "variant": variant, "point": "q=0.1",
           "critic": critic, "note": "" if critic == "learned" else "exact critic",
           "env_steps_per_update": budget}
        for estimator, variant in PAIRS
        for critic in ("learned", "exact")
        for budget in (450, 4500)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def followers(problem: str) -> pd.DataFrame:
    """One that halves its error with every ten times as many transitions."""
    steps = np.array([100, 1000, 10_000])
    kl = 0.5 ** np.arange(3.0)
    measured = {
        f"{name}_{statistic}": scale * factor * kl
        for name, scale in (("value_gap", 2.0), ("relative_gap", 0.2), ("kl", 1.0))
        for statistic, factor in (("median", 1.0), ("min", 0.5), ("max", 2.0))
    }
    who = {"problem": problem, "follower": "soft_q", "variant": "corrected", "temperature": 0.05}
    return pd.DataFrame({**who, "steps": steps, **measured, "seeds": 3})


def trajectories(problem: str) -> pd.DataFrame:
    """Seed 0 walks to 0.4, seed 1 to 0.8, in four equal steps; K2 = -K1 throughout."""
    signs = {"f(1|A)": 1.0} if problem == TOY else {"K1": 1.0, "K2": -1.0}
    stacked = concatenate(
        pd.DataFrame(
            {"problem": problem, "estimator": estimator, "variant": variant,
             "setting": MAIN[problem], "seed": seed, "update": UPDATES, "coordinate": coordinate,
             "value": sign * (1 + seed) * 0.1 * UPDATES,
             "leader_return": 1.0 + (1 + seed) * 0.1 * UPDATES}
        )
        for estimator, variant in PAIRS
        for seed in (0, 1)
        for coordinate, sign in signs.items()
    )  # fmt: skip
    return conditioned(stacked)


def toy_landscape() -> pd.DataFrame:
    return concatenate(
        pd.DataFrame(
            {"variant": variant, "probability": Q, "discounted": 2.0 - np.abs(Q - best),
             "undiscounted": 9.0}
        )
        for variant, best in (("published", 0.2), ("corrected", 0.3))
    )  # fmt: skip


def lqr_landscape() -> pd.DataFrame:
    k1, k2 = (axis.ravel() for axis in np.meshgrid(np.linspace(-1, 1, 5), np.linspace(-1, 1, 5)))
    table = pd.DataFrame({"k1": k1, "k2": k2, "leader_return": np.exp(-(k1**2) - k2**2)})
    table.loc[3, "leader_return"] = np.nan  # no best response there
    return table


def simulations() -> pd.DataFrame:
    return concatenate(
        pd.DataFrame({"gain": gain, "episode": episode, "step": UPDATES, "x1": 0.1, "x2": 0.2})
        for gain in ("paper: BC-HG", "best known")
        for episode in (0, 1)
    )


def returns() -> pd.DataFrame:
    gains = ["paper: BC-HG"] * 4 + ["best known"] * 4
    return pd.DataFrame({"gain": gains, "leader_return": [1.0, 2.0, 2.0, 3.0, 8.0, 9.0, 9.0, 1e-9]})


def write_environments(root: Path, rows: int | None = None) -> None:
    """What stage `environments` writes of both games, or as many rows of it."""
    environments = root / "data" / "environments"
    write_csv(environments / TOY / "landscape.csv", toy_landscape().iloc[:rows])
    write_csv(environments / LQR / "landscape.csv", lqr_landscape().iloc[:rows])
    write_csv(environments / LQR / "simulations.csv", simulations().iloc[:rows])
    write_csv(environments / LQR / "returns.csv", returns().iloc[:rows])


def information_errors(problem: str) -> pd.DataFrame:
    """Two levels, one of them with two beliefs and the other with two critics."""
    curves = [
        ("full", "", "returns", 0.5), ("full", "", "learned", 0.125),
        ("rewards", "evaluated", "returns", 0.25), ("rewards", "planned", "returns", 0.75),
    ]  # fmt: skip
    rows = [
        (problem, "there", *curve, size, size**-slope, 0.1 * size**-slope, 3, -slope, 0.0625)
        for *curve, slope in curves
        for size in (100, 1000, 10_000)
    ]
    names = ["env_steps", "error", "standard_error", "seeds", "slope", "slope_error"]
    levels = ["problem", "point", "information", "belief", "critic"]
    return pd.DataFrame(rows, columns=levels + names)


def reward_structures() -> pd.DataFrame:
    """Every metric at two temperatures and three alignments, at which values differ."""
    metrics = (
        "indirect_share", "cosine_direct", "return_start", "return_total", "return_direct",
        "lost_share", "error_bc_hg", "error_direct", "error_saved", "break_even_log10",
    )  # fmt: skip
    rows = [
        (temperature, alignment, metric, value, value - 0.01, value + 0.02, value + 0.1, 3)
        for temperature in (0.1, 0.5)
        for alignment in (-1.0, 0.0, 1.0)
        for number, metric in enumerate(metrics)
        for value in [number + temperature + 0.1 * alignment]
    ]
    names = ["temperature", "alignment", "metric", "value", "low", "high", "worst", "games"]
    return pd.DataFrame(rows, columns=names)
