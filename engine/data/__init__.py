"""Prompts and synthetic tasks whose right answers are known."""
