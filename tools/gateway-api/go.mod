// The CRDs of the Gateway API, which HTTPRoutes of the chart are checked against.
module github.com/lcm-operator/lcm-operator/tools/gateway-api

go 1.26.0

require sigs.k8s.io/gateway-api v1.4.0
