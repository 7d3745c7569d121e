#!/usr/bin/env python3
"""Draws the pictures of docs/performance from what bench/all.sh has kept, and writes its table of figures into docs/performance.md.

Usage: bench/plot.py [RESULTS [PICTURES]], by default bench/results and docs/performance; the table goes into the page beside the
pictures' directory, with its name. A picture whose results are not there is left as it is. Needs nothing but Python.
"""

import pathlib
import re
import sys

from svg import COLOURS, GREY, GRID, INK, Picture, Scale, binary, panel, short

FIGURE = re.compile(r"figure (?P<what>.+): (?P<value>[\d.]+) (?P<unit>.+), at (?P<side>least|most) (?P<limit>[\d.]+)")
WIDTH = 860


def read(directory):
    """The figures of all results, and the tables by name: lists of rows, each a map from column to number or text."""
    figures, tables = [], {}
    for path in sorted(directory.glob("*.txt")):
        columns, rows = [], None
        for line in path.read_text().splitlines():
            if found := FIGURE.fullmatch(line):
                figures.append((path.stem, found))
            if found := re.fullmatch(r"table (\w+): (.+)", line):
                columns, rows = found[2].split(", "), tables.setdefault(found[1], [])
            elif rows is not None and line.startswith("  ") and len(line.split()) == len(columns):
                rows.append({column: number(text) for column, text in zip(columns, line.split())})
            else:
                rows = None
    return figures, tables


def number(text):
    try:
        return float(text)
    except ValueError:
        return text


def column(rows, name):
    return [row[name] for row in rows]


def curve(rows, x, name, label=None, dashed=False):
    return (label or name, column(rows, x), column(rows, name), dashed)


def draw_figures(figures):
    """All figures next to what they should be, on one scale."""
    groups = sorted({script for script, _ in figures})
    height = 110 + 22 * (len(figures) + len(groups))
    how = "1: just reached; further right is better, by so many times"
    picture = Picture(WIDTH, height, "Figures next to what they should reach", how)
    left, right, top, bottom = 390, 650, 70, height - 30
    x = Scale([0.2, 10], left, right, log=True, ticks=[0.2, 0.5, 1, 2, 5, 10])
    for tick in x.ticks:
        picture.line(x.at(tick), top, x.at(tick), bottom, colour=INK if tick == 1 else GRID)
        picture.text(x.at(tick), bottom + 18, short(tick), colour=GREY, size=11, anchor="middle")
    y = top
    for group in groups:
        y += 22
        picture.text(20, y, group, colour=GREY, weight="bold")
        for found in [found for script, found in figures if script == group]:
            y += 22
            value, limit = float(found["value"]), float(found["limit"])
            good, bad = (value, limit) if found["side"] == "least" else (limit, value)
            reached = good / bad if bad else x.high
            ends = sorted([x.at(1), x.at(reached or x.low)])
            picture.rect(ends[0], y - 10, max(ends[1] - ends[0], 2), 13, COLOURS[0 if reached >= 1 else 1])
            picture.text(left - 10, y, found["what"], size=11, anchor="end")
            said = f"{short(value)} {found['unit']}, at {found['side']} {short(limit)}"
            picture.text(right + 12, y, said, colour=GREY, size=11)
    return picture


def draw_growth(rows, x, title, form=short, log=False):
    """Time and processor time per request over what grows."""
    picture = Picture(WIDTH, 400, title, "one node, contexts carried; the load shares the processors")
    values = column(rows, x)
    series = []
    for what in ["GET", "PUT"]:
        series.append(curve(rows, x, f"{what} µs", f"{what}, time"))
        series.append(curve(rows, x, f"{what} processor µs", f"{what}, processor time of the node", dashed=True))
    across = {"log": True, "ticks": values, "form": form}
    panel(picture, (90, 100, WIDTH - 30, 340), (x, across), ("µs per request", {"log": log}), series)
    return picture


def draw_nodes(rows):
    how = "per node and second; 2 replicas for each shard; under load each node is asked 50 times a second"
    picture = Picture(WIDTH, 400, "What simulated nodes send each other", how)
    ticks = column(rows, "nodes")
    middle = WIDTH / 2
    for box, what in [((80, 100, middle - 20, 340), "messages"), ((middle + 70, 100, WIDTH - 30, 340), "bytes")]:
        series = [curve(rows, "nodes", f"{what}/s {when}", when) for when in ["under load", "at rest"]]
        panel(picture, box, ("nodes", {"log": True, "ticks": ticks}), (f"{what}/s of a node", {}), series)
    return picture


def spans(rows, phase):
    """Where a phase lies, from the end of the second before it on."""
    seconds = [row["second"] for row in rows if row["phase"] == phase]
    return (min(seconds) - 1, max(seconds)) if seconds else None


def draw_view_change(rows):
    how = "from 2 shards of 2 replicas to 3, second by second; the band is the change"
    picture = Picture(WIDTH, 400, "Clients' latencies around a view change", how)
    series = []
    for what in ["reads", "writes"]:
        series.append(curve(rows, "second", f"{what} p99 ms", f"{what}, p99"))
        series.append(curve(rows, "second", f"{what} p50 ms", f"{what}, median", dashed=True))
    bands = [(*span, "changing") for span in [spans(rows, "during")] if span]
    ticks = seconds_ticks(rows)
    panel(picture, (90, 100, WIDTH - 30, 340), ("seconds", {"ticks": ticks}), ("ms", {}), series, bands)
    return picture


def seconds_ticks(rows):
    last = int(column(rows, "second")[-1])
    step = next(step for step in (1, 2, 5, 10, 20, 60, 600) if last / step <= 20)
    return list(range(0, last + step, step))


def draw_dead_replica(rows):
    how = "second by second, half reads and half writes at the two others; the band is the time without it"
    picture = Picture(WIDTH, 780, "One of three replicas is dead", how)
    bands = [(*span, "dead") for span in [spans(rows, "dead")] if span]
    panels = [
        ("resident MiB", "MiB", "resident memory of a living replica"),
        ("context bytes p99", "bytes", "context at p99"),
        ("reads p99 ms", "ms", "reads, p99"),
    ]
    for at, (name, unit, label) in enumerate(panels):
        top = 100 + at * 230
        series = [curve(rows, "second", name, label)]
        panel(picture, (90, top, WIDTH - 30, top + 150), ("seconds", {"ticks": seconds_ticks(rows)}), (unit, {}), series, bands)
    return picture


def draw(figures, tables):
    """All pictures by name, of what there are results of."""
    if figures:
        yield "figures", draw_figures(figures)
    for name, drawing in {
        "growth_keys": lambda rows: draw_growth(rows, "keys", "More keys"),
        "growth_connections": lambda rows: draw_growth(rows, "connections", "More connections"),
        "growth_values": lambda rows: draw_growth(rows, "value bytes", "Larger values", binary, log=True),
        "growth_nodes": draw_nodes,
        "view_change": draw_view_change,
        "dead_replica": draw_dead_replica,
    }.items():
        if rows := tables.get(name):
            yield name, drawing(rows)


def table(figures):
    """The figures as a table in Markdown."""
    lines = ["| script | figure | measured | wanted | |", "|---|---|---|---|---|"]
    for script, found in figures:
        value, limit = float(found["value"]), float(found["limit"])
        is_reached = value >= limit if found["side"] == "least" else value <= limit
        wanted = f"at {found['side']} {short(limit)}"
        said = "" if is_reached else "**missed**"
        lines.append(f"| `{script}` | {found['what']} | {found['value']} {found['unit']} | {wanted} | {said} |")
    return "\n".join(lines)


def write_table(page, figures):
    begin, end = "<!-- figures: written by bench/plot.py -->\n", "\n<!-- end of figures -->"
    text = page.read_text()
    before, rest = text.split(begin)
    page.write_text(before + begin + table(figures) + end + rest.split(end, 1)[1])
    print(page)


def main():
    results, pictures = map(pathlib.Path, sys.argv[1:] + ["bench/results", "docs/performance"][len(sys.argv) - 1 :])
    pictures.mkdir(parents=True, exist_ok=True)
    for name, picture in draw(*read(results)):
        (pictures / f"{name}.svg").write_text(picture.svg())
        print(pictures / f"{name}.svg")
    page = pictures.with_suffix(".md")
    if page.exists():
        write_table(page, read(results)[0])


if __name__ == "__main__":
    main()
