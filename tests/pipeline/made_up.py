"""A small project of made-up runs, whose summary is known."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd

from bilevelrl.evaluation.gradient_quality import gradient_row
from bilevelrl.problems import registry
from bilevelrl.runs.params import read_params
from bilevelrl.runs.records import (
    CURVE_COLUMNS,
    DIRECTION_COLUMNS,
    GRADIENT_COLUMNS,
    INFORMATION_COLUMNS,
    LEARNING_COLUMNS,
    START_COLUMNS,
    Cell,
)
from bilevelrl.runs.table_files import concatenate, write_csv, write_json, write_parquet
from pipeline.leaders import write_tables
from tests.figures import game_tables
from tests.settings import identity

ROOT = Path(__file__).parents[2]
PARAMS = read_params(ROOT / "params.yaml")
EXACT = "follower=exact;information=full;temperature=0.003"
MAIN = f"env_steps_per_update=100;{EXACT}"
TRUNCATED = (
    "env_steps_per_update=100;follower=truncated;information=full;policy_iterations=5;start=carry;"
    "temperature=0.003"
)
LEARNING = (
    "env_steps_per_update=100;first_follower_steps=200;follower=soft_q;follower_steps=50;"
    "information=full;start=carry;temperature=0.003"
)
CHARGE_NOTHING = 0.00128
FINAL = [0.4, 0.5, 0.6, CHARGE_NOTHING]
UPDATES = np.arange(4, 100, 5)  # 20 windows of 5 updates


def write_cell(
    root: Path,
    estimator: str,
    settings: dict[tuple[str, str], list[float]],
    problem: str = "four_rooms",
) -> Path:
    """Every run sits at -0.7, jumps to its final value at update 50 and stays."""
    runs, tables = [], []
    for (variant, setting), finals in settings.items():
        for seed, final in enumerate(finals):
            returns = np.where(UPDATES < 50, -0.7, final)
            measured = dict.fromkeys(CURVE_COLUMNS, 0.0) | {
                "update": UPDATES,
                "env_steps": 100 * UPDATES if "env_steps" in setting else 0 * UPDATES,
                "leader_return_mean": returns,
                "leader_return": returns,
                "leader_return_optimal": returns + 0.1,
                "follower_kl": 0.25,
                "follower_value_gap": np.where(UPDATES < 90, 9.0, 0.01 * (1 + seed)),
                "follower_steps": (1 + seed) * 50 * (UPDATES + 1) if "soft_q" in setting else 0,
                "cosine": np.where(UPDATES < 50, 0.1, 0.7),
                "follower_accuracy": np.where(UPDATES == 49, 0.5, 0.1),
            }
            names = {
                "problem": problem, "estimator": estimator, "variant": variant,
                "setting": setting, "seed": seed,
            }  # fmt: skip
            tables.append(pd.DataFrame(measured | names).astype(CURVE_COLUMNS))
            kind = PARAMS.block(problem).kind
            runs.append(identity(problem, estimator, variant, setting, seed, "key", kind=kind))
    folder = root / "data" / "leaders" / problem / estimator
    cell = Cell(tuple(runs), np.zeros((len(runs), 105)), concatenate(tables))
    cell.write(folder)
    write_tables(PARAMS.problem(problem), cell, folder)
    return folder


def write_project(root: Path) -> None:
    main, truncated = ("published", MAIN), ("published", TRUNCATED)
    cells = {
        "bc_hg": {
            main: FINAL,
            ("corrected", MAIN): [CHARGE_NOTHING] * 4,
            truncated: FINAL,
            ("corrected", LEARNING): FINAL,
        },
        "hpgd_mc": {main: [0.2] * 4},
        "exact": {("published", EXACT): [CHARGE_NOTHING] * 2},
    }
    for estimator, settings in cells.items():
        write_cell(root, estimator, settings)
    listed = [{"problem": "four_rooms", "estimator": estimator} for estimator in cells]
    write_json(root / "data" / "grid.json", {"cells": listed})
    entry = {"temperature": 0.003, "charge_nothing_return": CHARGE_NOTHING, "num_starts": 3}
    entries = [
        entry | {"variant": variant, "initial_return": -0.7, "best_known": best}
        for variant, best in (("published", 0.6), ("corrected", 0.55))
    ]
    metadata = root / "data" / "environments" / "four_rooms" / "metadata.json"
    write_json(metadata, {"problem": "four_rooms", "entries": entries})
    starts = [
        ("four_rooms", variant, 0.003, kind, f"start {number}", value)
        for variant in ("published", "corrected")
        for kind in ("structured", "random with spread 3")
        for number, value in enumerate((CHARGE_NOTHING, 0.4, 0.55))
    ]
    write_csv(metadata.with_name("starts.csv"), pd.DataFrame(starts, columns=list(START_COLUMNS)))
    row = gradient_row(
        np.random.default_rng(0).normal(size=(9, 3)), np.ones(3), problem="four_rooms",
        point="generic", estimator="bc_hg", variant="corrected", critic="exact",
        rung="bc_hg_corrected_exact_critic", note="exact critic", env_steps_per_update=100,
    )  # fmt: skip
    write_gradients(root, "four_rooms", pd.DataFrame([row]), watched_table())
    write_csv(root / "data" / "followers" / "four_rooms" / "learning.csv", learning_table())
    write_csv(root / "results" / "reward_structures.csv", game_tables.reward_structures())
    shutil.copytree(ROOT / "reference", root / "reference")


def write_gradients(root: Path, problem: str, quality: pd.DataFrame, watched: pd.DataFrame) -> None:
    """What stage `gradients` writes; nobody asked for directions."""
    folder = root / "data" / "gradients" / problem
    write_parquet(folder / "quality.parquet", quality, GRADIENT_COLUMNS)
    write_csv(folder / "information.csv", watched)
    write_csv(folder / "directions.csv", pd.DataFrame(columns=list(DIRECTION_COLUMNS)))


def watched_table() -> pd.DataFrame:
    """Errors that fall with the root of the samples, by level; the seeds' mean is 2."""
    rows = [
        ("four_rooms", "here", level, "", "returns", size, seed, scale * factor / np.sqrt(size))
        for level, scale in (("full", 1.0), ("actions", 3.0))
        for size in (100, 400, 1600)
        for seed, factor in enumerate((1.0, 3.0))
    ]
    return pd.DataFrame(rows, columns=list(INFORMATION_COLUMNS))


def learning_table() -> pd.DataFrame:
    """Three followers; the second is the best of them, and the median is not their mean."""
    rows = [
        ("four_rooms", "soft_q", "corrected", 0.003, seed, steps, factor, 0.1 * factor, 2 * factor)
        for seed, scale in enumerate((4.0, 1.0, 10.0))
        for steps, factor in ((200, scale), (1000, 0.1 * scale))
    ]
    return pd.DataFrame(rows, columns=list(LEARNING_COLUMNS))


CARTPOLE = "env_steps_per_update=100;follower=sac;information=rewards;study=main;temperature=0.2"


def write_cartpole(root: Path) -> None:
    """A problem without ground truth: no best known J, and gradients without rows."""
    write_cell(root, "bc_hg", {("improved", CARTPOLE): FINAL}, "guided_cartpole")
    listed = [{"problem": "guided_cartpole", "estimator": "bc_hg"}]
    write_json(root / "data" / "grid.json", {"cells": listed})
    unknown = dict.fromkeys(("initial_return", "charge_nothing_return", "best_known"))
    entry = {"variant": "improved", "temperature": 0.2, **unknown}
    metadata = root / "data" / "environments" / "guided_cartpole" / "metadata.json"
    write_json(metadata, {"problem": "guided_cartpole", "entries": [entry]})
    write_csv(metadata.with_name("starts.csv"), pd.DataFrame(columns=list(START_COLUMNS)))
    empty = pd.DataFrame(columns=list(LEARNING_COLUMNS))
    write_csv(root / "data" / "followers" / "guided_cartpole" / "learning.csv", empty)
    quality, watched = (
        pd.DataFrame(columns=list(columns)) for columns in (GRADIENT_COLUMNS, INFORMATION_COLUMNS)
    )
    write_gradients(root, "guided_cartpole", quality, watched)


def figures_of(problem: str) -> tuple[str, ...]:
    """Figures of a problem whose folder has its name."""
    names: tuple[str, ...] = registry.part(problem, "figures").names()
    return names
