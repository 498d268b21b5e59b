"""A made-up project with one document, one registry and results."""

from pathlib import Path

import pytest

SUMMARY = """problem,estimator,variant,setting,metric,value,low,high,seeds
toy,bc_hg,published,follower=exact;temperature=0.1,leader_return_mean,1.25,1,1.5,5
toy,bc_hg,published,follower=exact;temperature=0.1,leader_return_se,0.125,,,5
toy,naive,published,follower=exact;temperature=0.1,leader_return_mean,-0.00001,-1,1,5
toy,naive,published,follower=exact;temperature=0.1,leader_return_se,,,,5
"""
CONDITIONS = """problem,estimator,variant,setting,study,roles,follower,temperature
toy,bc_hg,published,follower=exact;temperature=0.1,main,,exact,0.1
toy,naive,published,follower=exact;temperature=0.1,main,,exact,0.1
"""
AGAINST = (
    "problem,estimator,temperature,budget,seeds,ours_mean,ours_standard_error,published_mean,"
    "published_standard_error,difference,z,within_3_se\n"
)
REGISTRY = """
numbers:
  toy.mean: {table: summary, where: "estimator == 'bc_hg'", show: "{leader_return_mean:.2f}"}
  toy.both: {table: summary, of: sum, show: "{leader_return_mean:.1f} in {seeds}"}
  toy.half: {compute: "{toy.mean} / 2", show: "{value:.3f}"}
tables:
  toy.final:
    table: summary
    sort: [order]
    by: {estimator: "{label}"}
    columns:
      J: "{leader_return_mean:.2f} ± {leader_return_se:.2f}"
claims:
  toy.better:
    says: BC-HG ends above Naive-PGD
    table: summary
    holds: "(estimator == 'bc_hg') == (leader_return_mean > 1)"
constants:
  "0.5": {params: toy.step_size}
"""
README = """# Toy

BC-HG reaches <!--=toy.mean-->1.25<!--/--> (half is <!--=toy.half-->0.625<!--/-->,
both <!--=toy.both-->1.2 in 10<!--/-->) with
step 0.5 and <!--=params:toy.num_updates-->2,000<!--/--> updates. <!-- claim: toy.better -->

<!-- table: toy.final -->

| estimator | J |
| --- | --- |
| BC-HG | 1.25 ± 0.12 |
| Naive-PGD | 0.00 |

<!-- end -->

See [above](#toy), `x=0.123` and

    0.999 in code

![figure](figure.png)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for folder in ("results", "docs"):
        (tmp_path / folder).mkdir()
    (tmp_path / "results" / "summary.csv").write_text(SUMMARY)
    (tmp_path / "results" / "conditions.csv").write_text(CONDITIONS)
    (tmp_path / "results" / "against_published.csv").write_text(AGAINST)
    (tmp_path / "docs" / "readme.yaml").write_text(REGISTRY)
    (tmp_path / "params.yaml").write_text("toy: {step_size: 5e-1, num_updates: 2000}\n")
    (tmp_path / "README.md").write_text(README)
    (tmp_path / "figure.png").write_bytes(b"")
    return tmp_path
