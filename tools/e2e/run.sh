#!/usr/bin/env bash
# `make e2e`: the tests on a real node. As root, on Debian; ARGS: more arguments for pytest.
# Everything runs in separate process and mount namespaces, and the node in its own network namespace. The kernel removes
# all of it when the first process in there ends, and that process ends with this script, however the script ends.
set -euo pipefail
cd "$(dirname "$0")/../.."
((EUID == 0)) || { echo "make e2e needs root: it starts containers" >&2; exit 1; }

packages=(buildah conntrack containerd containernetworking-plugins iproute2 iptables mmdebstrap procps runc)
missing=()
for package in "${packages[@]}"; do
  dpkg-query --show --showformat='${Status}\n' "$package" 2>/dev/null | grep -q '^install ok' || missing+=("$package")
done
if ((${#missing[@]})); then
  apt-get update --quiet
  DEBIAN_FRONTEND=noninteractive apt-get install --quiet --yes --no-install-recommends "${missing[@]}"
  # Debian starts the services that it installs; only the programs are needed.
  for package in "${missing[@]}"; do
    case $package in
      containerd) service=containerd.service ;;
      containernetworking-plugins) service=cni-dhcp.socket ;;
      *) continue ;;
    esac
    [[ ! -d /run/systemd/system ]] || systemctl --quiet --now disable "$service"
  done
fi

scratch=$(mktemp --directory --tmpdir lcm-e2e-XXXXXX)
cgroup=$(basename "$scratch")
source tools/e2e/cgroups.sh
inside=
clean_up() {
  [[ -z $inside ]] || { kill -KILL "$inside" 2>/dev/null && wait "$inside" 2>/dev/null; } || true
  remove_cgroups
  rm -rf "$scratch"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

make_cgroups
LCM_E2E_SCRATCH=$scratch LCM_E2E_CGROUP=/$cgroup setpriv --pdeathsig KILL \
  unshare --mount --pid --fork --kill-child --mount-proc tools/e2e/inside.sh "$@" &
inside=$!
wait "$inside"
