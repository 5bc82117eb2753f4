"""Sweeps, which are multiruns of Hydra: each trial is computed once, and trials are compared by statistical tests."""
