# One image for operator, REST interface and engines; `make image` builds it (docs/install.md).
# The base needs Python 3.11 or newer as python3, with venv.
ARG BASE_IMAGE=docker.io/library/python:3.14-slim

FROM ${BASE_IMAGE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY requirements/build.txt requirements/runtime.txt requirements/
# The secret is for networks whose proxy has its own certificate.
ARG PIP_INDEX_URL
RUN --mount=type=secret,id=certificates \
    if [ -s /run/secrets/certificates ]; then export PIP_CERT=/run/secrets/certificates; fi; \
    python3 -m venv /tools && python3 -m venv /opt/lcm && \
    /tools/bin/pip install --require-hashes --only-binary=:all: -r requirements/build.txt && \
    /opt/lcm/bin/pip install --no-compile --require-hashes --only-binary=:all: -r requirements/runtime.txt
COPY pyproject.toml README.md LICENSE ./
COPY operator operator
COPY deploy/crds deploy/crds
# Compiled, because the root is read-only. Except the official client: it is large, and only kubeconfigs need it.
RUN /tools/bin/python -m hatchling build --target wheel && \
    /opt/lcm/bin/pip install --no-compile --no-deps --no-index dist/*.whl && \
    /opt/lcm/bin/pip uninstall --yes --quiet setuptools pip && \
    /opt/lcm/bin/python -m compileall -q --invalidation-mode unchecked-hash -x /kubernetes/ /opt/lcm/lib && \
    /opt/lcm/bin/python -B -c 'import lcm_operator.controllers.__main__'

FROM ${BASE_IMAGE}
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="lcm-operator" \
      org.opencontainers.image.description="Starts field trials at their time, exactly once, and restores their engines from a checkpoint" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /opt/lcm /opt/lcm
ENV PATH=/opt/lcm/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /tmp
USER 65532:65532
CMD ["python", "-m", "lcm_operator.controllers"]
