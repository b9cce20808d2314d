"""Draws the dashboard as an SVG: its own panels and queries, with the data of a running Prometheus.

`python -m tools.monitoring.picture http://127.0.0.1:9090 FILE MINUTES`. It is not a picture of Grafana, which
need not be installed for it, and shows what the panels contain, not how Grafana styles them.
"""

import re
import sys
import time
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

import requests
from tools.monitoring.dashboard import dashboard

COLUMN, ROW, HEAD, LEGEND = 50, 30, 26, 20
COLORS = ("#3274d9", "#37872d", "#e0b400", "#fa6400", "#c4162a", "#8f3bb8", "#56a64b", "#8ab8ff")
VARIABLES = {"$namespace": ".*", "$__rate_interval": "1m", "$__range": "1h"}
Series = list[tuple[str, list[tuple[float, float]]]]


def _series(base: str, panel: dict[str, Any], begin: float, end: float) -> Series:
    """Return the names and points of a panel's series."""
    found: Series = []
    for target in panel["targets"]:
        query = re.sub(r"\$\w+", lambda name: VARIABLES[name[0]], target["expr"])
        step = str(max(1, int((end - begin) / 200)))
        parameters = {"query": query, "start": str(begin), "end": str(end), "step": step}
        answer = requests.get(f"{base}/api/v1/query_range", params=parameters, timeout=30)
        answer.raise_for_status()
        for each in answer.json()["data"]["result"]:
            legend = target["legendFormat"]
            for name, value in each["metric"].items():
                legend = legend.replace(f"{{{{{name}}}}}", value)
            points = [(moment, float(value)) for moment, value in each["values"] if value != "NaN"]
            found.append((legend, points))
    return found


def _shown(value: float, unit: str) -> str:
    if unit == "percentunit":
        return f"{value:.0%}"
    if unit == "bytes":
        return f"{value / 2**20:.0f} MiB"
    return f"{value:.3g}{' s' if unit == 's' else ''}"


def _text(x: float, y: float, text: str, *, size: int = 12, color: str = "#222", more: str = "") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}" fill="{color}" {more}>{escape(text)}</text>'


def _panel(panel: dict[str, Any], series: Series, begin: float, end: float) -> Iterator[str]:
    place = panel["gridPos"]
    x, y = place["x"] * COLUMN, place["y"] * ROW
    width, height = place["w"] * COLUMN - 8, place["h"] * ROW - 8
    if panel["type"] == "row":
        yield _text(x + 4, y + 20, panel["title"], size=14, more='font-weight="bold"')
        return
    yield f'<rect x="{x}" y="{y}" width="{width}" height="{height}" fill="#fff" stroke="#ccc"/>'
    yield _text(x + 8, y + 18, panel["title"], more='font-weight="bold"')
    unit = panel["fieldConfig"]["defaults"]["unit"]
    if panel["type"] == "stat":
        value = series[0][1][-1][1] if series and series[0][1] else 0.0
        limit = panel["fieldConfig"]["defaults"]["thresholds"]["steps"][1]["value"]
        color = COLORS[4] if value >= limit else COLORS[1]
        middle = 'text-anchor="middle" font-weight="bold"'
        yield _text(
            x + width / 2, y + height / 2 + 22, _shown(value, unit), size=30, color=color, more=middle
        )
        return
    top = max([value for _, points in series for _, value in points] + [1e-9])
    floor, space = y + height - LEGEND, height - HEAD - LEGEND - 8
    yield _text(x + 8, y + HEAD + 10, _shown(top, unit), size=9, color="#777")
    named = x + 8.0
    for number, (legend, points) in enumerate(series):
        color = COLORS[number % len(COLORS)]
        line = " ".join(
            f"{x + 8 + (moment - begin) / (end - begin) * (width - 16):.1f},{floor - value / top * space:.1f}"
            for moment, value in points
        )
        yield f'<polyline points="{line}" fill="none" stroke="{color}" stroke-width="1.5"/>'
        if named < x + width - 40:
            yield _text(named, y + height - 6, legend, size=10, color=color)
        named += 6.2 * len(legend) + 10


def main(base: str, file: Path, minutes: float) -> None:
    """Write the picture of the last minutes."""
    end = time.time()
    begin = end - minutes * 60
    panels = dashboard()["panels"]
    bottom = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels) * ROW
    drawn = [
        part
        for panel in panels
        for part in _panel(panel, _series(base, panel, begin, end) if "targets" in panel else [], begin, end)
    ]
    size = f'viewBox="0 0 {24 * COLUMN} {bottom}" font-family="sans-serif"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size}>'
    background = f'<rect width="{24 * COLUMN}" height="{bottom}" fill="#f4f5f5"/>'
    file.write_text("\n".join([head, background, *drawn, "</svg>"]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]))
