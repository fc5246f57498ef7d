"""The parts of the panel that trains sparse autoencoders."""
