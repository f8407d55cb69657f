# Poreflux with everything pinned. docs/howto/container.md says how to build and to run it.
FROM debian:bookworm-slim

RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        ca-certificates gcc git libc6-dev make python3 python3-dev python3-pip python3-venv \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/poreflux
COPY . .
# Any user may run it: kernels that were compiled at set-up are read, and new ones written, there.
RUN make setup \
    && rm -rf /root/.cache \
    && chmod a+w workflow/poreflux \
    && chmod -R a+rwX workflow/poreflux/__pycache__

ENV PATH="/opt/poreflux/.venv/bin:$PATH" \
    XDG_CACHE_HOME=/tmp/cache
WORKDIR /study
CMD ["poreflux", "--help"]
