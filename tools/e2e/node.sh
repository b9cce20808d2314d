#!/usr/bin/env bash
# The network of the node, and the tests. Called by inside.sh.
set -euo pipefail
ip link set lo up
ip link add node type bridge
ip address add 10.99.0.1/24 dev node
ip link set node up
ip route add default via 10.99.0.254 dev node
echo 1 >/proc/sys/net/ipv4/ip_forward
.venv/bin/pytest tests/e2e -p no:cacheprovider "$@"
