# The service and nothing else: no compiler, no tests, no shell tools beyond the base image's.
# It needs a writable /var/lib/deepfake-monitor and /tmp; the root file system may be read-only.
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY monitor ./monitor
COPY models ./models
# For a cluster add `ray`.
ARG EXTRAS=notify,mqtt,nats,oidc,postgres
RUN python -m venv /opt/monitor \
    && /opt/monitor/bin/pip install --no-cache-dir --disable-pip-version-check \
        --constraint constraints.txt ".[${EXTRAS}]"

FROM python:3.11-slim-bookworm
COPY --from=build /opt/monitor /opt/monitor
RUN groupadd --gid 10001 monitor \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/deepfake-monitor \
        --shell /usr/sbin/nologin monitor \
    && install -d -o 10001 -g 10001 -m 0700 /var/lib/deepfake-monitor
# ONNX Runtime's official builds report to their maker unless told not to.
ENV ORT_DISABLE_TELEMETRY=1 \
    PATH=/opt/monitor/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    MONITOR_STATE_DIR=/var/lib/deepfake-monitor
USER 10001:10001
WORKDIR /var/lib/deepfake-monitor
# An image whose models are not those of the manifest is not built.
RUN deepfake-monitor models verify
VOLUME /var/lib/deepfake-monitor
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/healthz', timeout=4)"]
ENTRYPOINT ["deepfake-monitor"]
# Bound to more than loopback, it does not start before a token is configured.
CMD ["serve", "--host", "0.0.0.0"]
