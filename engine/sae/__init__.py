"""Sparse autoencoders: the SAE itself, its training step, its files and its data."""
