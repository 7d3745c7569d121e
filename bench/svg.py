"""Pictures: scales, lines and bars, written as SVG. What is drawn is for plot.py. Equal input gives equal bytes."""

import math
from xml.sax.saxutils import escape

INK, GREY, GRID, BAND = "#222222", "#666666", "#e4e4e4", "#f3ece0"
# Told apart by those who see colours differently, too (Okabe and Ito).
COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"]


def short(value):
    """A number for an axis: 2500000 is 2.5M."""
    for size, letter in [(1e9, "G"), (1e6, "M"), (1e3, "k")]:
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def binary(value):
    """A number of bytes: 1048576 is 1 MiB."""
    for size, unit in [(2**20, "MiB"), (2**10, "KiB")]:
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.3g} B"


class Scale:
    """From values to places between two ends, linear from 0 on or logarithmic."""

    def __init__(self, values, start, end, log=False, ticks=None, form=short):
        self.start, self.end, self.log, self.form = start, end, log, form
        low, high = min(values), max(values)
        if log:
            self.ticks = ticks or decades(low, high)
            self.low, self.high = min(self.ticks[0], low), max(self.ticks[-1], high)
        else:
            step = nice(high / 5 if high > 0 else 1)
            self.ticks = ticks or [step * at for at in range(math.ceil(high / step - 1e-9) + 1)] or [0]
            self.low, self.high = 0 if ticks is None else min(ticks), max(self.ticks[-1], step)

    def at(self, value):
        """The place of a value; those beyond an end are put at the end."""
        measure = math.log if self.log else float
        value = min(max(value, self.low), self.high)
        span = measure(self.high) - measure(self.low) or 1
        return self.start + (measure(value) - measure(self.low)) / span * (self.end - self.start)


def nice(step):
    """The next of 1, 2 and 5 with zeros."""
    size = 10 ** math.floor(math.log10(step))
    return next(factor * size for factor in (1, 2, 5, 10) if factor * size >= step * 0.999)


def decades(low, high):
    """Ticks of a logarithmic scale."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [10.0**power for power in powers]
    return ticks if len(ticks) > 1 else [ticks[0], ticks[0] * 10]


class Picture:
    """Elements on a white ground, under a title."""

    def __init__(self, width, height, title, subtitle=""):
        self.width, self.height, self.parts = width, height, []
        self.rect(0, 0, width, height, "#ffffff")
        self.text(20, 28, title, size=16, weight="bold")
        self.text(20, 48, subtitle, colour=GREY)

    def rect(self, x, y, width, height, colour):
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>')

    def line(self, x1, y1, x2, y2, colour=GRID, width=1):
        self.parts.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}"/>'
        )

    def curve(self, points, colour, dashed=False):
        """A line through points, with a dot at each if they are few."""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        dash = ' stroke-dasharray="6 4"' if dashed else ""
        self.parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2" stroke-linejoin="round"{dash}/>'
        )
        if len(points) <= 20:
            self.parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]

    def text(self, x, y, text, colour=INK, size=12, anchor="start", weight="normal", turned=False):
        turn = f' transform="rotate(-90 {x:.1f} {y:.1f})"' if turned else ""
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" font-size="{size}" text-anchor="{anchor}" '
            f'font-weight="{weight}"{turn}>{escape(text)}</text>'
        )

    def svg(self):
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width}" height="{self.height}" '
            f'viewBox="0 0 {self.width} {self.height}" font-family="Helvetica, Arial, sans-serif">'
        )
        return "\n".join([head, *self.parts, "</svg>", ""])


def panel(picture, box, x_axis, y_axis, series, bands=()):
    """Draws curves over two axes.

    box: left, top, right, bottom of the field. x_axis, y_axis: label, and the arguments of a scale by name. series: name, x and y values,
    and whether dashed; one that is dashed has the colour of the one before. bands: from, to and a name.
    """
    left, top, right, bottom = box
    (x_label, x_options), (y_label, y_options) = x_axis, y_axis
    x = Scale([value for _, values, _, _ in series for value in values], left, right, **x_options)
    y = Scale([value for _, _, values, _ in series for value in values], bottom, top, **y_options)
    for start, end, name in bands:
        picture.rect(x.at(start), top, x.at(end) - x.at(start), bottom - top, BAND)
        picture.text((x.at(start) + x.at(end)) / 2, top + 14, name, colour=GREY, size=11, anchor="middle")
    for tick in y.ticks:
        picture.line(left, y.at(tick), right, y.at(tick))
        picture.text(left - 8, y.at(tick) + 4, y.form(tick), colour=GREY, size=11, anchor="end")
    for tick in x.ticks:
        picture.line(x.at(tick), bottom, x.at(tick), bottom + 5, colour=GREY)
        picture.text(x.at(tick), bottom + 19, x.form(tick), colour=GREY, size=11, anchor="middle")
    picture.line(left, bottom, right, bottom, colour=GREY)
    picture.text((left + right) / 2, bottom + 38, x_label, anchor="middle")
    picture.text(left - 48, (top + bottom) / 2, y_label, anchor="middle", turned=True)
    colour, place = -1, left
    for name, xs, ys, dashed in series:
        colour += 0 if dashed else 1
        ink = COLOURS[colour % len(COLOURS)]
        picture.curve([(x.at(a), y.at(b)) for a, b in zip(xs, ys)], ink, dashed)
        picture.curve([(place, top - 14), (place + 22, top - 14)], ink, dashed)
        picture.text(place + 30, top - 10, name)
        place += 50 + 6.6 * len(name)
