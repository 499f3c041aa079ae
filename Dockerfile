# Lockgate with what allowlists need: node + npm (npx) and python + uv (uvx).
# syntax=docker/dockerfile:1

FROM rust:1.95-slim-bookworm AS build
WORKDIR /build
COPY Cargo.toml Cargo.lock ./
COPY config config
COPY src src
# The tests' targets are named in Cargo.toml; empty ones do.
RUN mkdir -p tests/peer tests/it \
 && touch tests/layers.rs tests/it/main.rs \
 && echo 'fn main() {}' > tests/peer/main.rs \
 && cargo build --release --locked --bin lockgate

FROM ghcr.io/astral-sh/uv:0.9 AS uv

FROM node:22-bookworm-slim
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates curl git python3 \
 && rm -rf /var/lib/apt/lists/*
COPY --from=uv /uv /uvx /usr/local/bin/
COPY --from=build /build/target/release/lockgate /usr/local/bin/lockgate
COPY config/production.toml /etc/lockgate/lockgate.toml
ENV LOCKGATE_CONFIG=/etc/lockgate/lockgate.toml
# The packages of the allowlist; an image without them would fetch them when it is started.
RUN lockgate prefetch
EXPOSE 8080
HEALTHCHECK --interval=15s --timeout=3s --start-period=5s \
  CMD ["sh", "-c", "curl -fsS http://127.0.0.1:${PORT:-8080}/health > /dev/null"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["lockgate"]
CMD ["serve"]
