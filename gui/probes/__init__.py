"""The parts of the probe lab: form, board, chosen site, directions, and what they say."""
