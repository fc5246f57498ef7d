"""Probes: what can be read off activations linearly, and what would have been read off anyway."""
