"""Writes deploy/monitoring/dashboard.json, the Grafana dashboard; part of `make generate`.

Numbers by namespace are shown by each replica: `max by` takes them once. Counters are summed over replicas.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parents[2] / "deploy" / "monitoring" / "dashboard.json"
N = 'namespace=~"$namespace"'
Panel = dict[str, Any]
Query = tuple[str, str]
"""An expression, and the legend of its series."""


def _once(by: str, metric: str) -> str:
    """Return what all replicas show, once for each namespace."""
    return f"max by (namespace{f', {by}' if by else ''}) ({metric}{{{N}}})"


def _in_phase(phase: str) -> str:
    return f'sum(max by (namespace) (lcm_trials{{{N},phase="{phase}"}}))'


def _quantile(share: float, metric: str, by: str = "", where: str = N) -> str:
    rate = f"rate({metric}_bucket{{{where}}}[$__rate_interval])"
    return f"histogram_quantile({share}, sum by (le{f', {by}' if by else ''}) ({rate}))"


def _punctual(within: str) -> str:
    """Return the share of starts with a lag within a bucket's limit."""
    metric = "lcm_trial_start_lag_seconds"
    good = f'sum(rate({metric}_bucket{{{N},le="{within}"}}[$__range]))'
    return f"{good} / sum(rate({metric}_count{{{N}}}[$__range]))"


def _since(metric: str, by: str = "") -> str:
    return f"time() - {_once(by, metric)}"


def _counted(metric: str, by: str = "", time: str = "$__range") -> str:
    return f"sum{f' by ({by}) ' if by else ' '}(increase({metric}{{{N}}}[{time}]))"


def _panel(kind: str, title: str, unit: str, *queries: Query, text: str = "", **options: Any) -> Panel:
    source = {"type": "prometheus", "uid": "${datasource}"}
    targets = [
        {
            "datasource": source,
            "expr": expression,
            "legendFormat": legend,
            "refId": chr(ord("A") + number),
            "instant": kind == "stat",
        }
        for number, (expression, legend) in enumerate(queries)
    ]
    defaults: dict[str, Any] = {"unit": unit, "min": 0} | options.pop("defaults", {})
    return {
        "type": kind,
        "title": title,
        "description": text,
        "datasource": source,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": options,
        "targets": targets,
    }


def _number(title: str, unit: str, expression: str, *, bad_from: float, text: str = "") -> Panel:
    """Return one number that is red from `bad_from` on."""
    steps = [{"color": "green", "value": None}, {"color": "red", "value": bad_from}]
    return _panel(
        "stat",
        title,
        unit,
        (expression, ""),
        text=text,
        defaults={"thresholds": {"mode": "absolute", "steps": steps}, "noValue": "0"},
        colorMode="value",
        reduceOptions={"calcs": ["lastNotNull"]},
    )


def _graph(title: str, unit: str, *queries: Query, text: str = "") -> Panel:
    return _panel(
        "timeseries", title, unit, *queries, text=text, legend={"displayMode": "list", "placement": "bottom"}
    )


ROWS: dict[str, list[Panel]] = {
    "At a glance": [
        _number("Missed", "short", _in_phase("missed"), bad_from=1),
        _number(
            "Not ready", "short", f"sum({_once('reason', 'lcm_trials_not_ready')}) or vector(0)", bad_from=1
        ),
        _number("Failed", "short", _in_phase("failed"), bad_from=1),
        _number(
            "Longest recent start lag",
            "s",
            f"max({_once('', 'lcm_trial_start_lag_recent_max_seconds')})",
            bad_from=1,
        ),
        _number(
            "Registries not synchronized",
            "short",
            f"sum(1 - {_once('registry', 'lcm_registry_synced')}) or vector(0)",
            bad_from=1,
        ),
        _number(
            "Replicas without a leader",
            "short",
            "count(lcm_leader) * (sum(lcm_leader) == bool 0)",
            bad_from=1,
        ),
    ],
    "Trials": [
        _graph(
            "Trials by phase", "short", (f"sum by (phase) ({_once('phase', 'lcm_trials')}) > 0", "{{phase}}")
        ),
        _graph(
            "Not ready, by reason",
            "short",
            (f"sum by (reason) ({_once('reason', 'lcm_trials_not_ready')})", "{{reason}}"),
            ("sum(" + _once("", "lcm_trials_due") + ")", "due"),
            text="Trials that could not start now, or whose pod does not run; and those that are due.",
        ),
        _graph(
            "Failed, missed, not released",
            "short",
            (_counted("lcm_trials_failed_total", "reason", "1h"), "{{reason}}"),
            (_counted("lcm_trials_missed_total", "", "1h"), "Missed"),
            (_counted("lcm_trials_unreleased_total", "", "1h"), "not released"),
            text="In the last hour.",
        ),
    ],
    "Punctuality": [
        _graph(
            "Start lag",
            "s",
            (_quantile(0.5, "lcm_trial_start_lag_seconds"), "median"),
            (_quantile(0.99, "lcm_trial_start_lag_seconds"), "99 %"),
            (f"max({_once('', 'lcm_trial_start_lag_recent_max_seconds')})", "longest of 15 minutes"),
        ),
        _graph(
            "From the start to the first activity",
            "s",
            (_quantile(0.99, "lcm_trial_latch_to_grant_seconds"), "latch to grant, 99 %"),
            (_quantile(0.99, "lcm_trial_first_activity_lag_seconds"), "first activity, 99 %"),
        ),
        _graph(
            "Started within a second",
            "percentunit",
            (_punctual("1.0"), "share"),
        ),
    ],
    "Engines": [
        _graph(
            "Silence",
            "percentunit",
            (_once("", "lcm_engine_heartbeat_age_ratio"), "{{namespace}}"),
            text="The longest time since an engine renewed its Lease, as a share of heartbeatTimeoutSeconds.",
        ),
        _graph(
            "Age of the oldest checkpoint",
            "s",
            (_once("", "lcm_engine_checkpoint_age_seconds"), "{{namespace}}"),
        ),
        _graph(
            "Restores and refused requests",
            "short",
            (_counted("lcm_restores_total", "reason", "1h"), "{{reason}}"),
            (_counted("lcm_requests_refused_total", "type", "1h"), "{{type}} refused"),
            text="In the last hour.",
        ),
    ],
    "Registries and REST interface": [
        _graph(
            "Since the last sync of a registry",
            "s",
            (_since("lcm_registry_last_sync_timestamp_seconds", "registry"), "{{namespace}}/{{registry}}"),
        ),
        _graph(
            "Requests",
            "reqps",
            ("sum by (status) (rate(lcm_rest_requests_total[$__rate_interval]))", "{{status}}"),
        ),
        _graph(
            "Duration of requests, 95 %",
            "s",
            (_quantile(0.95, "lcm_rest_request_seconds", "path", ""), "{{path}}"),
        ),
    ],
    "Operator": [
        _graph("Leader", "short", ("lcm_leader", "{{instance}}")),
        _graph(
            "Work",
            "short",
            ("max(lcm_heap_size)", "waiting for a time"),
            ("max(lcm_queue_size)", "queued"),
            ("max(lcm_events_waiting)", "Events to record"),
        ),
        _graph(
            "Clock and Leases",
            "s",
            ("max by (instance) (abs(lcm_clock_offset_seconds))", "clock offset {{instance}}"),
            ("max(lcm_lease_reads_failing_seconds)", "Leases unreadable"),
        ),
        _graph(
            "CPU",
            "short",
            ('rate(process_cpu_seconds_total{job=~".*lcm.*"}[$__rate_interval])', "{{instance}}"),
        ),
        _graph("Memory", "bytes", ('process_resident_memory_bytes{job=~".*lcm.*"}', "{{instance}}")),
        _graph("Versions", "short", ("count by (version) (lcm_build_info)", "{{version}}")),
    ],
}


def _placed() -> Iterator[Panel]:
    """Yield the panels with their places, three or, for numbers, six in a row of Grafana's 24 columns."""
    number, top = 0, 0
    for title, panels in ROWS.items():
        number += 1
        yield {"type": "row", "title": title, "id": number, "gridPos": {"x": 0, "y": top, "w": 24, "h": 1}}
        top += 1
        width, height = (4, 4) if panels[0]["type"] == "stat" else (8, 8)
        for place, panel in enumerate(panels):
            number += 1
            row, column = divmod(place * width, 24)
            yield {
                "id": number,
                "gridPos": {"x": column, "y": top + row * height, "w": width, "h": height},
            } | panel
        top += height * -(-len(panels) * width // 24)


def dashboard() -> dict[str, Any]:
    """Return the dashboard."""
    source = {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}
    namespace = {
        "name": "namespace",
        "label": "Namespace",
        "type": "query",
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "query": {"query": "label_values(lcm_trials, namespace)", "refId": "namespaces"},
        "refresh": 2,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }
    return {
        "uid": "lcm-operator",
        "title": "LCM Operator",
        "tags": ["lcm-operator"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [source, namespace]},
        "panels": list(_placed()),
    }


def main() -> None:
    """Write it."""
    TARGET.write_text(json.dumps(dashboard(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
