"""What the page says of runs that failed, got stuck, or do not agree."""

import pandas as pd

from bilevelrl.evaluation.agreement import AGAINST_PUBLISHED_COLUMNS
from bilevelrl.evaluation.summary import FAILED_RUN_COLUMNS
from bilevelrl.reporting.page import failures
from bilevelrl.reporting.page.returns import Line


def compared(within: bool, masked: int, masked_within: bool) -> pd.DataFrame:
    row = dict.fromkeys(AGAINST_PUBLISHED_COLUMNS, 1.0) | {
        "problem": "toy", "estimator": "naive", "budget": 20, "masked": masked,
        "within_3_se": within, "masked_within_3_se": masked_within,
    }  # fmt: skip
    return pd.DataFrame([row])


def test_every_failed_run_is_named(lines: tuple[Line, ...]) -> None:
    row = ("toy", "bc_hg", "corrected", "temperature=0.1", 3, "J became NaN")
    failed = pd.DataFrame([row], columns=list(FAILED_RUN_COLUMNS))
    section = failures.section(lines, {"failed_runs": failed})
    named = next(table for table in section.tables if "without a result" in table.caption)
    assert named.rows == (("toy", "BC-HG, corrected", "temperature=0.1", "3", "J became NaN"),)
    assert not any("No run failed" in text for text in section.texts)


def test_a_missing_table_is_no_success(lines: tuple[Line, ...]) -> None:
    section = failures.section(lines, {})
    assert section.texts[0].startswith("results/failed_runs.csv is missing")
    empty = pd.DataFrame(columns=list(FAILED_RUN_COLUMNS))
    section = failures.section(lines, {"failed_runs": empty})
    assert section.texts[0] == "No run failed, of 24 in 6 settings."


def test_stuck_runs_are_counted(lines: tuple[Line, ...]) -> None:
    (table,) = failures.section(lines, {}).tables
    runs = [row[table.head.index("runs")] for row in table.rows]
    assert runs == ["4 of 4", "2 of 4"]


def test_published_means_that_do_not_reproduce_are_named(lines: tuple[Line, ...]) -> None:
    def captions(rows: pd.DataFrame) -> list[str]:
        tables = failures.section(lines, {"against_published": rows}).tables
        return [table.caption for table in tables if table.caption.startswith("Published")]

    assert captions(compared(within=False, masked=0, masked_within=True))
    assert captions(compared(within=True, masked=2, masked_within=False))
    assert not captions(compared(within=False, masked=2, masked_within=True))
