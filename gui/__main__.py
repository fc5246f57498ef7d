"""`python -m gui [FOLDER | FILE.mscope]`: the window."""

import sys

from gui.app import main

sys.exit(main())
