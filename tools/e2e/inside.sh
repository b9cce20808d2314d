#!/usr/bin/env bash
# The first process in the namespaces of `make e2e`; when it ends, everything in there ends. Called by run.sh.
# Builds the image and the programs, then becomes the node.
set -euo pipefail
export TMPDIR=$LCM_E2E_SCRATCH/tmp
mkdir "$TMPDIR"

# A separate image store keeps the layers for the next run and allows removing the leftovers of a killed build.
store=${XDG_CACHE_HOME:-~/.cache}/lcm-operator/images
mkdir --parents "$store"
export CONTAINERS_STORAGE_CONF=$LCM_E2E_SCRATCH/storage.conf
cat >"$CONTAINERS_STORAGE_CONF" <<EOF
[storage]
driver = "overlay"
graphroot = "$store"
runroot = "$LCM_E2E_SCRATCH/containers"
EOF
exec {lock}>"$store.lock"
flock "$lock"
buildah rm --all >"$TMPDIR/swept"

.venv/bin/python -m tools.e2e.programs "$LCM_E2E_SCRATCH" &
programs=$!
IMAGE=lcm-operator:e2e tools/image/build.sh
# Replaces Kubernetes' own image for the first container of each pod, which only needs to sleep.
pause=$(buildah from localhost/lcm-operator:e2e)
buildah config --cmd '["sleep","infinity"]' "$pause"
buildah commit --quiet --rm "$pause" localhost/lcm-operator-pause:e2e
buildah bud --layers --tag lcm-dummies:e2e --build-arg OPERATOR_IMAGE=localhost/lcm-operator:e2e dummies
for name in lcm-operator lcm-operator-pause lcm-dummies; do
  buildah push --quiet "localhost/$name:e2e" "docker-archive:$LCM_E2E_SCRATCH/$name.tar:docker.io/library/$name:e2e"
done
exec {lock}>&-
wait "$programs"

mount --make-rshared /
# containerd, kubelet and CNI leave their files here.
for folder in /run /var/lib /var/log; do mount -t tmpfs tmpfs "$folder"; done
exec unshare --net tools/e2e/node.sh "$@"
