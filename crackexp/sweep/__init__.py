"""Sweeps: multiruns of Hydra whose cells are computed once and compared honestly."""
