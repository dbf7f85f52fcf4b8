"""Outcomes as curves want them: pools, accuracies of each problem, tokens spent, clusters."""
