"""Experiments: training runs; later ablations and benchmarks. Nothing in the package imports this room."""
