"""The parts of the panels that read a prediction layer by layer, and a logit part by part."""
