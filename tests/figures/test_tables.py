"""The result tables say what the summary says, in words."""

import pandas as pd

from bilevelrl.figures import tables

NAN = float("nan")


def result_rows(
    study: str = "main",
    seeds: int = 10,
    special: str = "",
    case: str = "",
    **changed: tuple[float, ...],
) -> pd.DataFrame:
    values: dict[str, tuple[float, ...]] = {
        "leader_return_final_iqm": (0.5, 0.4, 0.6),
        "leader_return_mean": (-0.0004, -1, 1),
        "leader_return_se": (0.01, NAN, NAN),
        "leader_return_final_worst": (-1.5, NAN, NAN),
        "failed_runs": (0.0, NAN, NAN),
        "stuck_fraction": (0.3, 0.1, 0.6),
    } | changed
    return pd.DataFrame(
        {"estimator": estimator, "variant": variant, "temperature": 0.003, "budget": budget,
         "study": study, "setting": "its name", "case": case, "special": special, "seeds": seeds,
         "metric": metric, "value": value, "low": low, "high": high}
        for estimator, variant, budget in (
            ("bc_hg", "published", 100), ("bc_hg", "published", 400),
            ("bc_hg", "corrected", 100), ("exact", "published", 0),
        )
        for metric, (value, low, high) in values.items()
    )  # fmt: skip


def test_means_table_has_a_row_per_estimator_and_a_column_per_budget() -> None:
    markdown = tables.to_markdown(tables.means_table(result_rows()))
    assert markdown.splitlines() == [
        "| temperature | estimator | 100 | 400 |",
        "| --- | --- | --- | --- |",
        "| 0.003 | BC-HG | 0.000 ± 0.010 | 0.000 ± 0.010 |",
        "| 0.003 | BC-HG, corrected | 0.000 ± 0.010 | – |",
        "| 0.003 | Exact | 0.000 ± 0.010 | 0.000 ± 0.010 |",
    ]


def test_beside_a_robust_statistic_stand_mean_worst_seed_and_failures() -> None:
    lines = tables.to_markdown(tables.results_table(result_rows())).splitlines()
    head = "IQM [interval] | mean ± SE | worst seed | failed | stuck |"
    told = "0.500 [0.400, 0.600] | 0.000 ± 0.010 | −1.500 | 0 of 10 | 3 of 10 |"
    assert lines == [
        f"| temperature | estimator | transitions | {head}",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        f"| 0.003 | BC-HG | 100 | {told}",
        f"| 0.003 | BC-HG | 400 | {told}",
        f"| 0.003 | BC-HG, corrected | 100 | {told}",
        f"| 0.003 | Exact | – | {told}",
    ]


def test_cases_have_rows_of_their_own() -> None:
    small, large = result_rows(case="size=2"), result_rows(case="size=3")
    large["budget"] = large["budget"].replace(100, 1000)
    large["value"] += (large["metric"] == "leader_return_mean") * 1.0
    both = pd.concat([small, large])
    means = tables.to_markdown(tables.means_table(both)).splitlines()
    assert means[0] == "| temperature | estimator | case | 100 | 400 | 1000 |"
    assert means[-2:] == [
        "| 0.003 | Exact | size=2 | 0.000 ± 0.010 | 0.000 ± 0.010 | – |",
        "| 0.003 | Exact | size=3 | – | 1.000 ± 0.010 | 1.000 ± 0.010 |",
    ]
    results = tables.results_table(both)
    assert results["case"].tolist() == 2 * ["size=2"] + 2 * ["size=3"] + ["size=2", "size=3"] * 2
    studies = pd.concat([both, result_rows("mine", case="size=2")])
    assert "case" not in tables.results_table(studies)


def test_a_failed_run_leaves_its_count() -> None:
    nothing = (NAN, NAN, NAN)
    names = ("final_iqm", "mean", "se", "final_worst")
    gone = dict.fromkeys((f"leader_return_{name}" for name in names), nothing)
    table = tables.results_table(result_rows(failed_runs=(2.0, NAN, NAN), **gone))
    told = table.iloc[0][["IQM [interval]", "mean ± SE", "worst seed", "failed"]]
    assert told.tolist() == ["–", "–", "–", "2 of 10"]


def test_one_seed_has_neither_error_nor_interval() -> None:
    rows = result_rows(
        seeds=1, leader_return_mean=(0.4, NAN, NAN), leader_return_se=(NAN, NAN, NAN),
        leader_return_final_iqm=(0.4, NAN, NAN),
    )  # fmt: skip
    told = tables.results_table(rows).iloc[0]
    assert told["IQM [interval]"] == told["mean ± SE"] == "0.400"
    assert tables.means_table(rows).iloc[0]["100"] == "0.400"


def test_a_study_says_what_it_studies_and_what_a_best_response_would_give() -> None:
    special = "follower = truncated, policy_iterations = 5"
    played = result_rows("truncated_follower", special=special)
    known = {"leader_return_optimal_mean": (0.2, 0, 1), "leader_return_optimal_se": (0.1, NAN, NAN),
             "leader_return_optimal_worst": (-2.0, NAN, NAN)}  # fmt: skip
    both = result_rows("truncated_follower", special=special, **known)
    other = result_rows("clipped")
    assert "worst seed there" not in tables.results_table(played)
    table = tables.results_table(pd.concat([both, other], ignore_index=True))
    told = ["study", "conditions", "mean ± SE", "best response: mean ± SE", "worst seed there"]
    assert table[told].drop_duplicates().to_numpy().tolist() == [
        ["clipped", "–", "0.000 ± 0.010", "–", "–"],
        ["truncated_follower", "follower = truncated, policy_iterations = 5", "0.000 ± 0.010",
         "0.200 ± 0.100", "−2.000"],
    ]  # fmt: skip


def test_latex_table_is_escaped_and_never_prints_minus_zero() -> None:
    latex = tables.to_latex(tables.means_table(result_rows()))
    assert r"0.003 & BC-HG & 0.000 $\pm$ 0.010" in latex
    assert r"\toprule" in latex
    assert "−" not in latex
    assert "–" not in latex


def comparison(**changed: object) -> pd.DataFrame:
    row = {
        "temperature": 0.1, "budget": 100, "estimator": "bc_hg", "ours_mean": -0.5,
        "ours_standard_error": 0.1, "published_mean": -0.2, "published_standard_error": 0.05,
        "difference": -0.3, "z": -2.68, "within_3_se": True, "masked": 0, "ours_masked_mean": NAN,
        "ours_masked_standard_error": NAN, "masked_difference": NAN, "masked_z": NAN,
        "masked_within_3_se": None,
    }  # fmt: skip
    return pd.DataFrame([row | changed])


def test_a_comparison_without_a_verdict_shows_none() -> None:
    (row,) = tables.against_published_table(comparison()).to_dict("records")
    assert (row["z"], row["within 3 SE"]) == ("−2.7", "yes")
    assert not any("masked" in name for name in row)
    unknown = comparison(z=NAN, within_3_se=NAN, ours_standard_error=NAN)
    (row,) = tables.against_published_table(unknown).to_dict("records")
    assert (row["ours"], row["z"], row["within 3 SE"]) == ("−0.500", "–", "–")


def test_masked_curves_are_compared_with_ours_masked_beside_ours() -> None:
    masked = comparison(
        masked=1, ours_masked_mean=-0.25, ours_masked_standard_error=0.1, masked_difference=-0.05,
        masked_z=-0.45, masked_within_3_se=True, within_3_se=False,
    )  # fmt: skip
    (row,) = tables.against_published_table(masked).to_dict("records")
    assert (row["ours"], row["within 3 SE"]) == ("−0.500 ± 0.100", "no")
    assert row["ours, masked likewise"] == "−0.250 ± 0.100"
    assert (row["difference, masked"], row["z, masked"]) == ("−0.050", "−0.5")
    assert row["within 3 SE, masked"] == "yes"


def test_empty_tables_say_so() -> None:
    empty = tables.against_published_table(pd.DataFrame())
    assert tables.to_markdown(empty) == tables.to_latex(empty) == "Not in this grid.\n"
