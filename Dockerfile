# reconcile for pipelines: docker run --rm -v "$PWD:/repo" -e AWS_REGION ... reconcile plan prod
FROM python:3.13.9-slim-bookworm AS build
WORKDIR /source
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels . \
    && python -m venv /opt/reconcile \
    && /opt/reconcile/bin/pip install --no-cache-dir --constraint constraints.txt /wheels/*.whl

FROM python:3.13.9-slim-bookworm
# `--changed-since` asks git; a mounted clone belongs to somebody else
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git \
    && rm -rf /var/lib/apt/lists/* \
    && git config --system --add safe.directory /repo \
    && useradd --create-home --uid 10001 reconcile
COPY --from=build /opt/reconcile /opt/reconcile
ENV PATH=/opt/reconcile/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001
WORKDIR /repo
ENTRYPOINT ["reconcile"]
