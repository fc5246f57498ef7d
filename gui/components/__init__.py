"""The parts of the panel that shows activations on their principal components."""
