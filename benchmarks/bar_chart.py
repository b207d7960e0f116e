"""A chart of horizontal bars as a small SVG, readable on light and dark pages."""

from __future__ import annotations

from html import escape

from benchmarks.result import Chart

_ROW = 26
_LABEL = 250
_BARS = 380
_VALUE = 110


def svg(chart: Chart) -> str:
    """The chart as an SVG document."""
    most = max((value for _, value in chart.bars), default=0) or 1
    height = 34 + _ROW * len(chart.bars)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LABEL + _BARS + _VALUE}" '
        f'height="{height}" font-family="sans-serif" font-size="13" fill="#808080">',
        f'<text x="0" y="16" font-weight="bold">{escape(chart.title)} '
        f"({escape(chart.unit)})</text>",
    ]
    for number, (label, value) in enumerate(chart.bars):
        top = 28 + _ROW * number
        width = max(1.0, _BARS * value / most)
        parts += [
            f'<text x="{_LABEL - 8}" y="{top + 15}" text-anchor="end">{escape(label)}</text>',
            f'<rect x="{_LABEL}" y="{top}" width="{width:.1f}" height="{_ROW - 6}" '
            'fill="#3b82c4"/>',
            f'<text x="{_LABEL + width + 6:.1f}" y="{top + 15}">{value:,.4g}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])
