"""Plots as SVG, written by hand: no library is needed to make or to show them."""

import math
from html import escape

FONT = 'font-family="system-ui, sans-serif" font-size="12"'
COLOURS = {"ours": "#0b6e99", "peer": "#b8b8b8", "floor": "#d9a441", "pipe": "#6aa84f"}
LINES = ["#0b6e99", "#c0504d", "#6aa84f", "#7f6084", "#d9a441"]
TEXT = "#222"


def page(width, height, title, parts):
    head = (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
            f'height="{height}" role="img" {FONT}>\n<title>{escape(title)}</title>\n'
            f'<rect width="{width}" height="{height}" fill="#fff"/>\n')
    heading = text(12, 22, title, weight="bold")
    return head + "\n".join([heading, *parts]) + "\n</svg>\n"


def text(x, y, words, anchor="start", weight="normal"):
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{TEXT}" text-anchor="{anchor}" font-weight="{weight}">{escape(words)}</text>'


def line(x1, y1, x2, y2, colour="#ddd"):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'


def bars(title, unit, rows):
    """Horizontal bars; a row is a name, a kind that decides its colour, a value, and how that is written."""
    left, width, step = 190, 760, 22
    most = max((value for _, _, value, _ in rows if value), default=1)
    parts = []
    for at, (name, kind, value, shown) in enumerate(rows):
        y = 44 + at * step
        long = (width - left - 90) * (value or 0) / most
        parts.append(text(left - 8, y + 12, name, "end"))
        parts.append(f'<rect x="{left}" y="{y}" width="{max(long, 0.5):.1f}" height="{step - 6}" fill="{COLOURS[kind]}"/>')
        parts.append(text(left + long + 6, y + 12, f"{shown}{unit}" if value else "–"))
    return page(width, 52 + len(rows) * step, title, parts)


class Axis:
    """From values to places on the paper, by the logarithm."""

    def __init__(self, values, start, end):
        values = [value for value in values if value > 0] or [1, 10]
        low, high = min(values), max(values)
        self.low = 10 ** math.floor(math.log10(low) + 1e-9)
        self.high = 10 ** math.ceil(math.log10(high) - 1e-9)
        if self.high <= self.low:
            self.high = self.low * 10
        self.start, self.end = start, end

    def place(self, value):
        share = (math.log10(value) - math.log10(self.low)) / (math.log10(self.high) - math.log10(self.low))
        return self.start + share * (self.end - self.start)

    def ticks(self):
        tick = self.low
        while tick <= self.high * 1.0001:
            yield tick
            tick *= 10


def short(value):
    """A number for an axis."""
    for size, sign in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{sign}"
    return f"{value:g}"


def curves(title, below, series, dashed=()):
    """Lines over what is said below, both axes logarithmic; a series is a name and points.

    Those in `dashed` are computed; they have the colour of the series whose name theirs begins with.
    """
    width, height, left, top, bottom = 760, 360, 64, 40, 300
    points = [point for _, some in series for point in some if point[1] and point[1] > 0]
    across = Axis([x for x, _ in points], left, width - 190)
    up = Axis([y for _, y in points], bottom, top)
    parts = []
    for tick in across.ticks():
        parts += [line(across.place(tick), top, across.place(tick), bottom),
                  text(across.place(tick), bottom + 18, short(tick), "middle")]
    for tick in up.ticks():
        parts += [line(left, up.place(tick), width - 190, up.place(tick)),
                  text(left - 6, up.place(tick) + 4, short(tick), "end")]
    parts.append(text((left + width - 190) / 2, bottom + 42, below, "middle"))
    families = list(dict.fromkeys(name.split(",")[0] for name, _ in series))
    for nth, (name, some) in enumerate(series):
        colour = LINES[families.index(name.split(",")[0]) % len(LINES)]
        drawn = [(across.place(x), up.place(y)) for x, y in some if y and y > 0]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in drawn)
        dash = ' stroke-dasharray="5 4"' if name in dashed else ""
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>')
        if name not in dashed:
            parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in drawn]
        y = top + 10 + nth * 20
        parts.append(f'<line x1="{width - 178}" y1="{y}" x2="{width - 152}" y2="{y}" stroke="{colour}" stroke-width="2"{dash}/>')
        parts.append(text(width - 146, y + 4, name))
    return page(width, height, title, parts)
