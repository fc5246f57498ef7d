"""The parts of the panel that trains a network on a figure and probes it."""
