"""Scoring: one contender in, item scores and manifest out. Started as `python -m eval.score`."""
