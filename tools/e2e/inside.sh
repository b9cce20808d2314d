#!/usr/bin/env bash
# The first process in the namespaces of `make e2e`; when it ends, everything in there ends. Called by run.sh.
set -euo pipefail
mount --make-rshared /
# What containerd, kubelet and CNI leave behind, they leave here.
for folder in /run /var/lib /var/log; do mount -t tmpfs tmpfs "$folder"; done
ip link set lo up
ip link add node type bridge
ip address add 10.99.0.1/24 dev node
ip link set node up
ip route add default via 10.99.0.254 dev node
echo 1 >/proc/sys/net/ipv4/ip_forward
.venv/bin/pytest tests/e2e -p no:cacheprovider "$@"
