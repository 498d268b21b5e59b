"""Importing this registers the Gymnasium environments of all problems.

So does naming it, as in gymnasium.make("bilevelrl.problems.gym:bilevelrl/FourRooms-v0").
"""

from bilevelrl.problems import registry

for _kind in registry.KINDS:
    registry.part(_kind, "gym")
