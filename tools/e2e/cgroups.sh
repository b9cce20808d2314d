# The control groups of `make e2e`, named $cgroup: of version 2, or one in each hierarchy of version 1. Sourced by run.sh.

enabled=()  # the controllers that the children of the root did not have before

make_cgroups() {
  local root=/sys/fs/cgroup controller file
  if [[ -e $root/cgroup.controllers ]]; then
    for controller in $(<"$root/cgroup.controllers"); do
      grep -qw "$controller" "$root/cgroup.subtree_control" && continue
      echo "+$controller" >"$root/cgroup.subtree_control"
      enabled+=("$controller")
    done
    mkdir "$root/$cgroup"
    return
  fi
  for controller in "$root"/*/; do mkdir --parents "$controller$cgroup"; done
  for file in cpus mems; do
    [[ ! -e $root/cpuset/cpuset.$file ]] ||
      cat "$root/cpuset/cpuset.$file" >"$root/cpuset/$cgroup/cpuset.$file"
  done
}

cgroups() { find /sys/fs/cgroup -maxdepth 2 -type d -name "$cgroup"; }

remove_cgroups() {
  # Killed processes take a moment to end; until then their control groups cannot be removed.
  for _ in $(seq 100); do
    cgroups | while read -r group; do find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || true; done
    [[ -n $(cgroups) ]] || break
    sleep 0.1
  done
  for controller in "${enabled[@]}"; do echo "-$controller" >/sys/fs/cgroup/cgroup.subtree_control; done
}
