"""What Windows reads in the program's file: its version resource and its application manifest."""

from __future__ import annotations

import re

NAME, PUBLISHER = "Mechanoscope", "The Mechanoscope authors"
COPYRIGHT = "The Mechanoscope authors. MIT licence."
DESCRIPTIONS = {
    "mechanoscope": NAME,  # what the task manager and "Open with" show
    "mechanoscope-cli": "Mechanoscope (command line)",
}

# Qt asks for the same scaling itself, but a little later: the manifest holds from the first
# pixel. UTF-8 makes files of any name readable to libraries in C; long paths are those above 260
# letters. The long numbers say "made for Windows 10 and 11"; without them it lies about itself.
MANIFEST = """<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<assembly xmlns="urn:schemas-microsoft-com:asm.v1" manifestVersion="1.0">
  <trustInfo xmlns="urn:schemas-microsoft-com:asm.v3">
    <security>
      <requestedPrivileges>
        <requestedExecutionLevel level="asInvoker" uiAccess="false"/>
      </requestedPrivileges>
    </security>
  </trustInfo>
  <compatibility xmlns="urn:schemas-microsoft-com:compatibility.v1">
    <application>
      <supportedOS Id="{8e0f7a12-bfb3-4fe8-b9a5-48fd50a15a9a}"/>
    </application>
  </compatibility>
  <application xmlns="urn:schemas-microsoft-com:asm.v3">
    <windowsSettings>
      <dpiAware xmlns="http://schemas.microsoft.com/SMI/2005/WindowsSettings">true/pm</dpiAware>
      <dpiAwareness xmlns="http://schemas.microsoft.com/SMI/2016/WindowsSettings">PerMonitorV2</dpiAwareness>
      <longPathAware xmlns="http://schemas.microsoft.com/SMI/2016/WindowsSettings">true</longPathAware>
      <activeCodePage xmlns="http://schemas.microsoft.com/SMI/2019/WindowsSettings">UTF-8</activeCodePage>
    </windowsSettings>
  </application>
  <dependency>
    <dependentAssembly>
      <assemblyIdentity type="win32" name="Microsoft.Windows.Common-Controls" version="6.0.0.0"
        processorArchitecture="*" publicKeyToken="6595b64144ccf1df" language="*"/>
    </dependentAssembly>
  </dependency>
</assembly>
"""


def numbers(version: str) -> tuple[int, int, int, int]:
    """Windows' four numbers: "1.2.3" -> (1, 2, 3, 0); a preview counts as what it precedes."""
    found = re.match(r"\d+(\.\d+){0,3}(?![\d.])", version)
    if not found:
        raise ValueError(f"version: {version!r} does not start with up to four numbers")
    given = [int(part) for part in found[0].split(".")]
    if max(given) > 65535:
        raise ValueError(f"version: {version!r} has a number above 65535, Windows' largest")
    first, second, third, fourth = [*given, 0, 0, 0][:4]
    return first, second, third, fourth


def version_file(version: str, name: str = "mechanoscope") -> str:
    """The version resource of one of the two programs, as the text that PyInstaller evaluates."""
    four = numbers(version)
    strings = {
        "CompanyName": PUBLISHER,
        "FileDescription": DESCRIPTIONS[name],
        "FileVersion": version,
        "InternalName": name,
        "LegalCopyright": COPYRIGHT,
        "OriginalFilename": f"{name}.exe",
        "ProductName": NAME,
        "ProductVersion": version,
    }
    table = ",\n        ".join(f"StringStruct({key!r}, {text!r})" for key, text in strings.items())
    # 0x3f: all flags are said, none is set; 0x40004: Windows; 0x1: a program.
    # 0409, 04B0: the texts are English, in Unicode.
    return f"""VSVersionInfo(
  ffi=FixedFileInfo(
    filevers={four}, prodvers={four}, mask=0x3f, flags=0x0, OS=0x40004, fileType=0x1, subtype=0x0,
    date=(0, 0),
  ),
  kids=[
    StringFileInfo([
      StringTable('040904B0', [
        {table}
      ])
    ]),
    VarFileInfo([VarStruct('Translation', [0x0409, 1200])]),
  ],
)
"""
