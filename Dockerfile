# The project's images, from locks with hashes. They run as anybody but root, on a read-only root, and hold
# neither pip nor a compiler. Why so, and what they weigh: docs/decisions/0019-images.md.
#
#   make image                    # all three: marquee-python:dev, marquee-monitoring-python:dev, marquee-serving:dev
#   docker build --target serving --build-arg BASE=…@sha256:… --tag … .      # CI pins the base by its digest
#
#   base ─┬─ pipeline ── monitoring      the steps of Kubeflow's pipelines; the same and Evidently
#         └─ serving                     the KServe predictor
ARG BASE=python:3.11-slim-bookworm

# --- build: pip of this environment fills the ones that are shipped, which have none themselves ----------

FROM ${BASE} AS tools
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
WORKDIR /src
COPY requirements/build.txt requirements/
RUN python3 -m venv /tools \
 && /tools/bin/python -m pip install --quiet --require-hashes -r requirements/build.txt \
 && python3 -m venv --without-pip /opt/marquee
COPY requirements/aws.txt requirements/

FROM tools AS wheel
COPY pyproject.toml README.md LICENSE ./
COPY marquee marquee
RUN /tools/bin/python -m pip wheel --quiet --no-deps --no-index --no-build-isolation --wheel-dir /wheel .

FROM tools AS pipeline-packages
COPY requirements/pipeline.txt requirements/
RUN /tools/bin/python -m pip --python /opt/marquee/bin/python install --quiet --require-hashes \
        -r requirements/pipeline.txt -r requirements/aws.txt
COPY .ci/slim_image.py .ci/
COPY .ci/unused/everywhere.txt .ci/unused/
RUN /tools/bin/python .ci/slim_image.py /opt/marquee/lib/python3*/site-packages .ci/unused/everywhere.txt

# What Evidently adds, and nothing that the stage before has: one layer more on top of the same image. pip
# would bring back what was slimmed away, so that it is told to take the lock's additions only.
FROM pipeline-packages AS monitoring-packages
COPY requirements/monitoring.txt requirements/
COPY .ci/lock_difference.py .ci/
RUN /tools/bin/python .ci/lock_difference.py requirements/monitoring.txt requirements/pipeline.txt requirements/aws.txt \
        > requirements/added.txt \
 && touch /before \
 && /tools/bin/python -m pip --python /opt/marquee/bin/python install --quiet --no-deps --require-hashes \
        -r requirements/added.txt \
 && mkdir /added \
 && find /opt/marquee -cnewer /before -type f -exec cp --parents --target-directory /added {} +

FROM tools AS serving-packages
COPY requirements/serving.txt requirements/
RUN /tools/bin/python -m pip --python /opt/marquee/bin/python install --quiet --require-hashes \
        -r requirements/serving.txt -r requirements/aws.txt
COPY .ci/slim_image.py .ci/
COPY .ci/unused/everywhere.txt .ci/unused/serving.txt .ci/unused/
RUN /tools/bin/python .ci/slim_image.py /opt/marquee/lib/python3*/site-packages \
        .ci/unused/everywhere.txt .ci/unused/serving.txt

# Rooms beside the package, where `marquee pipeline …` looks for them.
FROM pipeline-packages AS pipeline-code
COPY --from=wheel /wheel /wheel
COPY components /rooms/components
COPY pipelines /rooms/pipelines
RUN touch /before \
 && /tools/bin/python -m pip --python /opt/marquee/bin/python install --quiet --no-deps --no-index /wheel/*.whl \
 && cp -r /rooms/* /opt/marquee/lib/python3*/site-packages/ \
 && /opt/marquee/bin/python -m compileall -q /opt/marquee/lib/python3*/site-packages/components \
        /opt/marquee/lib/python3*/site-packages/pipelines \
 && mkdir /added \
 && find /opt/marquee -cnewer /before -type f -exec cp --parents --target-directory /added {} +

FROM serving-packages AS serving-code
COPY --from=wheel /wheel /wheel
COPY serving /rooms/serving
RUN touch /before \
 && /tools/bin/python -m pip --python /opt/marquee/bin/python install --quiet --no-deps --no-index /wheel/*.whl \
 && cp -r /rooms/* /opt/marquee/lib/python3*/site-packages/ \
 && /opt/marquee/bin/python -m compileall -q /opt/marquee/lib/python3*/site-packages/serving \
 && mkdir /added \
 && find /opt/marquee -cnewer /before -type f -exec cp --parents --target-directory /added {} +

# --- what is shipped: packages in a layer that changes with the locks, code in a small one above ---------

# Threads that wait by spinning make LightGBM several times slower on a shared core. What is written goes to
# the places named here, and to the volumes that a container is given.
FROM ${BASE} AS base
LABEL org.opencontainers.image.licenses="Apache-2.0"
ENV PATH=/opt/marquee/bin:$PATH \
    PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 OMP_WAIT_POLICY=PASSIVE HOME=/var/tmp \
    MARQUEE_FEATURE_REPO=/opt/marquee/feature_repo MARQUEE_DATA=/var/tmp/marquee/data MARQUEE_RUNS=/var/tmp/marquee/runs
WORKDIR /var/tmp
USER 65532:65532

FROM base AS pipeline
LABEL org.opencontainers.image.title="marquee-pipeline" \
      org.opencontainers.image.description="Steps of Marquee's Kubeflow pipelines"
COPY --from=pipeline-packages /opt/marquee /opt/marquee
COPY --from=pipeline-code /added /
COPY feature_repo /opt/marquee/feature_repo
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# Kubeflow brings the command; by itself the image says what it can do.
CMD ["marquee", "--help"]

FROM pipeline AS monitoring
LABEL org.opencontainers.image.title="marquee-monitoring" \
      org.opencontainers.image.description="Steps of Marquee's monitoring pipeline, with Evidently's reports"
COPY --from=monitoring-packages /added /
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"

FROM base AS serving
LABEL org.opencontainers.image.title="marquee-serving" \
      org.opencontainers.image.description="Marquee's KServe predictor"
COPY --from=serving-packages /opt/marquee /opt/marquee
COPY --from=serving-code /added /
COPY feature_repo /opt/marquee/feature_repo
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# The folder that it is started in may be written by anybody: nothing is imported from there.
ENV PYTHONSAFEPATH=1 \
    HEALTH_URL=http://127.0.0.1:8080/v1/models/marquee
EXPOSE 8080
# For engines without probes of their own; Kubernetes asks the same path itself.
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(os.environ['HEALTH_URL'], timeout=2)"]
# The bundle is where STORAGE_URI brings it.
ENTRYPOINT ["python", "-m", "serving"]
