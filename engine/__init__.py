"""Mechanoscope's engine: neural networks read with NumPy. No Qt, no printing, no network."""

__version__ = "0.1.0"
