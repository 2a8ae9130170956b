FROM python:3.13-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY proxy ./proxy
RUN python -m venv /opt/tfaudit \
    && /opt/tfaudit/bin/pip install --no-cache-dir --disable-pip-version-check .

FROM python:3.13-slim
LABEL org.opencontainers.image.title="tfaudit" \
      org.opencontainers.image.description="Terraform state backend with a signed, tamper-evident audit log" \
      org.opencontainers.image.licenses="Apache-2.0"

# The volume inherits its owner from the image, so that a fresh one is writable without root.
RUN useradd --system --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin tfaudit \
    && install -d -m 0700 -o tfaudit -g tfaudit /data
COPY --from=build /opt/tfaudit /opt/tfaudit

ENV PATH=/opt/tfaudit/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    TFAUDIT_SERVER_HOST=0.0.0.0 \
    TFAUDIT_DATA_DIRECTORY=/data \
    TFAUDIT_LOG_FORMAT=json
USER 10001:10001
WORKDIR /data
VOLUME ["/data"]
EXPOSE 8920

# Asks our own loopback address, where the certificate's name can't match: only "alive" is asked.
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s --retries=3 \
    CMD ["python", "-c", "import os, ssl, urllib.request as r; env = os.environ.get; scheme = 'https' if env('TFAUDIT_SERVER_CERTIFICATE') else 'http'; r.urlopen(f\"{scheme}://127.0.0.1:{env('TFAUDIT_SERVER_PORT', '8920')}/healthz\", timeout=4, context=ssl._create_unverified_context())"]

ENTRYPOINT ["tfaudit"]
CMD ["serve"]
