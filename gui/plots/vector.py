"""What Qt leaves undone in its SVG and PDF: fonts that may be missing, exact sizes, metadata."""

import re
from html import escape, unescape

from PySide6.QtGui import QFont, QFontMetricsF

FAMILIES = {
    "Inter": "Inter, 'Helvetica Neue', Helvetica, Arial, 'Liberation Sans', sans-serif",
    "JetBrains Mono": "'JetBrains Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace",
}
TEXT = re.compile(
    r'<text ([^>]*?)xml:space="preserve" ([^>]*?)font-family="([^"]*)" font-size="([\d.]+)" '
    r'font-weight="(\d+)" font-style="normal"\s*>([^<]*)</text>'
)
INHERITED = re.compile(r'\nfont-family="[^"]*" font-size="[^"]*" font-weight="[^>]*>')
XMP = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" \
xmlns:xmp="http://ns.adobe.com/xap/1.0/">
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">{title}</rdf:li></rdf:Alt></dc:title>
<dc:description><rdf:Alt><rdf:li xml:lang="x-default">{about}</rdf:li></rdf:Alt></dc:description>
<xmp:CreatorTool>{tool}</xmp:CreatorTool>
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>"""


def finished_svg(svg: str, size: tuple[float, float], provenance: str = "") -> str:
    """Qt's SVG at its size in mm, every text as wide as it was laid out, whatever font shows it."""
    widths: dict[tuple[str, str, str, str], float] = {}

    def text(found: re.Match[str]) -> str:
        before, place, family, pixels, weight, content = found.groups()
        key = (family, pixels, weight, content)
        if key not in widths:
            widths[key] = _width(family, float(pixels), int(weight), unescape(content))
        length = f'textLength="{widths[key]:.2f}" lengthAdjust="spacingAndGlyphs" '
        return (
            f'<text {before}xml:space="preserve" {place}{length if content.strip() else ""}'
            f'font-family="{FAMILIES.get(family, family)}" font-size="{pixels}" '
            f'font-weight="{weight}">{content}</text>'
        )

    head = f'<svg width="{size[0]:.3f}mm" height="{size[1]:.3f}mm"'
    svg = re.sub(r'<svg width="[^"]*" height="[^"]*"', head, svg, count=1)
    style = " style=\"font-feature-settings: 'calt' 0\">"  # SVG 1.2 tiny does not know that
    svg = svg.replace(' version="1.2" baseProfile="tiny">', style, 1)
    if provenance:
        svg = svg.replace("</desc>", f"</desc>\n<metadata>{escape(provenance)}</metadata>", 1)
    return INHERITED.sub(">", TEXT.sub(text, svg))


def _width(family: str, pixels: float, weight: int, text: str) -> float:
    font = QFont(family)
    font.setPixelSize(round(pixels))
    font.setWeight(QFont.Weight(weight))
    font.setFeature(QFont.Tag("calt"), 0)
    return QFontMetricsF(font).horizontalAdvance(text)


def xmp(title: str, about: str, tool: str) -> str:
    """The metadata packet of a PDF."""
    return XMP.format(title=escape(title), about=escape(about), tool=escape(tool))


def cut_page(pdf: bytes, width: float, height: float) -> bytes:
    """Cut Qt's page of whole points to `width` x `height` points, from its upper left corner.

    The table of offsets at the end of the file follows what got longer before it.
    """
    found = re.search(rb"/MediaBox (\[0 0 [\d.]+ ([\d.]+)\])\s+/TrimBox \1", pdf)
    if found is None:
        raise OSError("the page has no size")
    top = float(found[2])
    edges = b"[0 %.4f %.4f %.4f]" % (top - height, width, top)
    box = b"/MediaBox %b\n/TrimBox %b" % (edges, edges)
    grown, at = len(box) - len(found[0]), found.start()
    pdf = pdf[:at] + box + pdf[found.end() :]
    body, _, tail = pdf.rpartition(b"\nxref\n")

    def moved(offset: re.Match[bytes]) -> bytes:
        old = int(offset[1])
        return b"%010d" % (old + grown if old > at else old) + offset[2]

    tail = re.sub(rb"^(\d{10})( \d{5} n)", moved, tail, flags=re.MULTILINE)
    start = len(body) + 1
    tail = re.sub(rb"startxref\s+\d+", b"startxref\n%d" % start, tail)
    return body + b"\nxref\n" + tail
