"""Toy models of superposition: training in batches, and the geometry of what was learnt."""
