"""The guided tour: the real window without a display, photographed into pictures and a report."""

from gui.tour.guide import main

__all__ = ["main"]
