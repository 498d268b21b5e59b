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
