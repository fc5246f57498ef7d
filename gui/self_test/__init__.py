"""`--self-test`: the program tries itself out: the real window, without a display, apart.

It walks the two tables, of techniques and of panels, so that no file here names one of them.
"""

from gui.self_test.walk import apart, self_test

__all__ = ["apart", "self_test"]
