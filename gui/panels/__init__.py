"""One file per panel; `gui.panel.panels()` finds them here."""
