"""What macOS reads about the application: the keys of Info.plist that are ours.

PyInstaller adds those it knows itself (executable, icon, kind of package).
"""

from __future__ import annotations

import re

IDENTIFIER = "org.mechanoscope.Mechanoscope"
SESSION = "org.mechanoscope.session"  # the type of *.mscope: a uniform type identifier
# The wheels of PySide6 6.12 are made for macOS 14; those of NumPy and SciPy go further back.
OLDEST_MACOS = "14.0"


def info_plist(version: str) -> dict[str, object]:
    """The keys for a version of the program. macOS compares numbers only: "0.2.0rc1" is 0.2.0."""
    numbers = re.match(r"\d+(\.\d+){0,2}", version)
    if numbers is None:
        raise ValueError(f"version: {version!r} does not start with a number")
    return {
        "CFBundleIdentifier": IDENTIFIER,
        "CFBundleName": "Mechanoscope",
        "CFBundleDisplayName": "Mechanoscope",
        "CFBundleShortVersionString": numbers[0],
        "CFBundleVersion": numbers[0],
        "CFBundleDevelopmentRegion": "en",
        "LSMinimumSystemVersion": OLDEST_MACOS,
        "LSApplicationCategoryType": "public.app-category.education",
        "NSHumanReadableCopyright": "The Mechanoscope authors. MIT licence.",
        "NSHighResolutionCapable": True,
        # Two graphics processors: the quick one is not needed for lines and text.
        "NSSupportsAutomaticGraphicsSwitching": True,
        "CFBundleDocumentTypes": [
            {
                "CFBundleTypeName": "Mechanoscope session",
                "CFBundleTypeRole": "Editor",
                "LSHandlerRank": "Owner",
                "LSItemContentTypes": [SESSION],
                "CFBundleTypeIconFile": "session.icns",
            },
            {
                # A folder with a model: dropped on the icon, or through "Open with".
                "CFBundleTypeName": "Folder with a model",
                "CFBundleTypeRole": "Viewer",
                "LSHandlerRank": "Alternate",
                "LSItemContentTypes": ["public.folder"],
            },
        ],
        "UTExportedTypeDeclarations": [
            {
                "UTTypeIdentifier": SESSION,
                "UTTypeDescription": "Mechanoscope session",
                "UTTypeConformsTo": ["public.data", "public.database"],
                "UTTypeIconFile": "session.icns",
                "UTTypeTagSpecification": {
                    "public.filename-extension": ["mscope"],
                    "public.mime-type": ["application/x-mechanoscope-session"],
                },
            }
        ],
    }
