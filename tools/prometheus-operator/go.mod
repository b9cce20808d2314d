// The CRDs of the Prometheus Operator, which ServiceMonitor and PrometheusRule of the chart are checked against.
module github.com/lcm-operator/lcm-operator/tools/prometheus-operator

go 1.26.0

require github.com/prometheus-operator/prometheus-operator v0.85.0
