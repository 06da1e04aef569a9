# The project's image for Kubeflow's steps. Built from locks with hashes; run as anybody but root, on a
# read-only root if need be.
#
#   make image                                        # marquee-python:dev
#   docker build --build-arg BASE=…@sha256:… --target pipeline -t … .   # CI pins the base by its digest
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python3 -m venv /opt/marquee
WORKDIR /src
COPY requirements/build.txt requirements/pipeline.txt requirements/
RUN /opt/marquee/bin/python -m pip install --quiet --require-hashes -r requirements/build.txt -r requirements/pipeline.txt
COPY pyproject.toml README.md LICENSE ./
COPY marquee marquee
RUN /opt/marquee/bin/python -m pip install --quiet --no-deps --no-index --no-build-isolation . \
 && /opt/marquee/bin/python -m pip uninstall --quiet --yes pip setuptools

FROM ${BASE} AS pipeline
LABEL org.opencontainers.image.title="marquee-pipeline" \
      org.opencontainers.image.description="Steps of Marquee's Kubeflow pipelines" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/marquee /opt/marquee
COPY feature_repo /opt/marquee/feature_repo
# Threads that wait by spinning make LightGBM several times slower on a shared core. What is written goes to
# /var/tmp and to the volumes that a step is given.
ENV PATH=/opt/marquee/bin:$PATH \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 OMP_WAIT_POLICY=PASSIVE HOME=/var/tmp \
    MARQUEE_FEATURE_REPO=/opt/marquee/feature_repo MARQUEE_DATA=/var/tmp/marquee/data MARQUEE_RUNS=/var/tmp/marquee/runs
WORKDIR /var/tmp
USER 65532:65532
# Kubeflow brings the command; by itself the image says what it can do.
CMD ["marquee", "--help"]
