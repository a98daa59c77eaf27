# The image: one static binary and nothing else.
#   docker build -t lunamoth:0.1.0 .
# From a binary that is built already: deploy/build-image.
FROM docker.io/library/rust:1.95-bookworm AS build
WORKDIR /source
COPY . .
# The caches keep the dependencies between builds. glibc's static binary needs its target named.
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/source/target \
    host=$(rustc -vV | sed -n 's/^host: //p') \
    && RUSTFLAGS="-C target-feature=+crt-static" cargo build --locked --release --target "$host" \
    && strip -o /lunamoth "target/$host/release/lunamoth"

FROM scratch
LABEL org.opencontainers.image.title="lunamoth" \
      org.opencontainers.image.description="A load-test engine with scenarios in Lua" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
COPY --from=build /lunamoth /lunamoth
# A number, so that `runAsNonRoot` can be checked.
USER 65532:65532
ENTRYPOINT ["/lunamoth"]
