"""Columns of the tables that only the figures of the games are drawn from."""

#: data/environments/<toy>/landscape.csv: J of a leader that plays 1 in A with a probability,
#: against the follower of a variant.
TOY_LANDSCAPE_COLUMNS = ("variant", "probability", "discounted", "undiscounted")
#: data/environments/bilevel_lqr/landscape.csv: J of the leader's gain.
LQR_LANDSCAPE_COLUMNS = ("k1", "k2", "leader_return")
#: data/environments/bilevel_lqr/simulations.csv: a few episodes under fixed gains.
SIMULATION_COLUMNS = ("gain", "episode", "step", "x1", "x2")
#: data/environments/bilevel_lqr/returns.csv: many episodes under the same gains.
RETURN_COLUMNS = ("gain", "leader_return")
_DESIGN = (
    "leader_return", "spectral_radius", "stability", "energy", "insulation", "airflow",
    *(f"{name}{zone}" for name in ("alpha", "beta") for zone in range(1, 5)),
)  # fmt: skip
#: data/environments/thermal_control/designs.csv: named designs.
DESIGN_COLUMNS = (*_DESIGN, "design")
#: data/environments/thermal_control/random_search.csv: designs drawn uniformly.
RANDOM_DESIGN_COLUMNS = (*_DESIGN, "leader_return_sampled")
#: reference/thermal_control_drift.csv and reference/thermal_control_histogram.csv.
DRIFT_COLUMNS = ("estimator", "group", "drift")
HISTOGRAM_COLUMNS = ("low", "high", "count")
