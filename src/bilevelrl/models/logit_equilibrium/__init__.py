"""Players of a stochastic game at a logit Markov equilibrium, whom a leader pays."""
