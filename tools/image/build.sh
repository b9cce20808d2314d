#!/usr/bin/env bash
# Builds the image of LCM Operator (`make image`) with the first installed one of buildah, podman and docker.
# IMAGE: its name. BASE_IMAGE: replaces the Dockerfile's base. BUILD_ARGS: more arguments for the build.
# If the Dockerfile's base cannot be pulled, a Debian root with the same Python replaces it, created with mmdebstrap as root.
set -euo pipefail
cd "$(dirname "$0")/../.."

version=$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
image=${IMAGE:-lcm-operator:$version}
base=${BASE_IMAGE:-}
read -ra arguments <<<"${BUILD_ARGS:-}"
# The proxy's own certificates; buildah needs an absolute path.
certificates=${PIP_CERT:-${SSL_CERT_FILE:-}}
[[ -z $certificates ]] || arguments+=(--secret "id=certificates,src=$certificates")

if command -v buildah >/dev/null; then
  tool=buildah
elif command -v podman >/dev/null; then
  tool=podman
elif docker info >/dev/null 2>&1; then
  tool=docker
else
  echo "None of buildah, podman and docker works here; on Debian: apt install buildah" >&2
  exit 1
fi

made_base() {
  local python name suite
  python=$(sed -n 's/.*\(python\):\([0-9.]*\).*/\1\2/p' <<<"$1")
  name=localhost/lcm-operator-base:$python
  suite=$(sed -n 's/^SUITE = "\(.*\)"/\1/p' tools/python/__main__.py)
  if ! "$tool" inspect "$name" >/dev/null 2>&1; then
    command -v mmdebstrap >/dev/null || { echo "$1 can't be pulled: set BASE_IMAGE, or install mmdebstrap" >&2; exit 1; }
    echo "$1 can't be pulled: making a base with mmdebstrap" >&2
    root=$(mktemp -d)
    trap 'rm -rf "$root"' EXIT  # of the subshell, where a local variable is gone by then
    mmdebstrap --quiet --variant=minbase --include="ca-certificates,$python,$python-venv,tzdata" \
      --aptopt='Acquire::Check-Valid-Until "false"' --customize-hook="ln -s ../../bin/$python \"\$1/usr/local/bin/python3\"" \
      --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
      --dpkgopt='path-exclude=/usr/share/locale/*' "$suite" "$root/base.tar" >&2
    if [[ $tool == buildah ]]; then
      local container
      container=$(buildah from scratch)
      buildah add --quiet "$container" "$root/base.tar" / >/dev/null
      buildah commit --quiet --rm "$container" "$name" >/dev/null
    else
      "$tool" import "$root/base.tar" "$name" >/dev/null
    fi
  fi
  echo "$name"
}

if [[ -z $base ]]; then
  base=$(sed -n 's/^ARG BASE_IMAGE=//p' Dockerfile)
  "$tool" pull "$base" >/dev/null 2>&1 || base=$(made_base "$base")
fi

# Without user namespaces, root of a build container is not mapped to a user of this machine, so chroot is used.
build=(build)
[[ $tool != buildah ]] || build=(bud --isolation chroot --layers)
"$tool" "${build[@]}" --tag "$image" --file Dockerfile \
  --build-arg "BASE_IMAGE=$base" --build-arg "VERSION=$version" \
  --build-arg "REVISION=$(git rev-parse HEAD 2>/dev/null || echo unknown)" "${arguments[@]}" .
echo "built $image with $tool"
