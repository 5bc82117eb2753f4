"""Sweeps: multiruns of Hydra whose trials are computed once and compared honestly."""
