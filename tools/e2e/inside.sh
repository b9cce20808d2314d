#!/usr/bin/env bash
# The first process in the namespaces of `make e2e`; when it ends, everything in there ends. Called by run.sh.
# Builds what is tested, and becomes the node.
set -euo pipefail
export TMPDIR=$LCM_E2E_SCRATCH/tmp
mkdir "$TMPDIR"

# A store of its own for images, to have the layers next time and to sweep out what a killed build has left.
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
# Of Kubernetes' own image for the first container of each pod all that matters is that it sleeps.
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
# What containerd, kubelet and CNI leave behind, they leave here.
for folder in /run /var/lib /var/log; do mount -t tmpfs tmpfs "$folder"; done
exec unshare --net tools/e2e/node.sh "$@"
