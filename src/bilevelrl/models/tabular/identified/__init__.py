"""Leaders of tabular problems that identify their model: dynamics, and what the follower wants.

Such a leader counts transitions, fits a kernel to them (`kernel`) and corrects how it predicts its
follower by the likelihood of the choices that it saw (`choices`). In the model that results
(`game`) it has exact hypergradients, so that it can search from many starts (`search`) for the θ
that it plays, the best or one that it may try (`trials`), and recommends the best
of those. `leader` is the estimator.
"""
