# The image: one static program in an empty file system. `docker build -t ccm:0.1.0 .`
#
# Tried by deploy/dev/check-image: the stage `final` (built with buildah, looked through, its program started), and with --long what deploy/image/cargo
# builds. NOT TRIED, for want of a registry where the tests run: the stages that begin from the Rust image. They call the same scripts.
#
# Twice the same bytes: pin RUST_IMAGE by digest, then
#   SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) docker buildx build --output type=oci,dest=ccm.tar,rewrite-timestamp=true .
ARG RUST_IMAGE=docker.io/library/rust:1.95.0-bookworm

FROM ${RUST_IMAGE} AS tools
RUN cargo install --locked cargo-chef@0.1.78 cargo-cyclonedx@0.5.9
WORKDIR /src

# What the dependencies are, without our own code: the next stage is built anew only when they change.
FROM tools AS plan
COPY . .
RUN cargo chef prepare --recipe-path /recipe.json

FROM tools AS build
ARG SOURCE_DATE_EPOCH=0
COPY deploy/image/cargo deploy/image/cargo
COPY --from=plan /recipe.json /recipe.json
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    deploy/image/cargo chef cook --recipe-path /recipe.json
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    deploy/image/cargo build \
 && mkdir /made && cp target/*/release/ccm target/*/release/ccmctl /made/ \
 && deploy/image/licences >/made/third-party-licences.txt \
 && deploy/image/sbom /made/sbom.cdx.json \
 && deploy/image/tree /made/ccm /tree /made/sbom.cdx.json /made/third-party-licences.txt

# Engineers' tool, for their own machines: docker build --target ccmctl --output type=local,dest=bin . It is not in the image: it talks to
# the API with a person's token, and nothing in a pod should.
FROM scratch AS ccmctl
COPY --from=build /made/ccmctl /

# A stage of its own, so that a test can put another tree in its place.
FROM scratch AS tree
COPY --from=build /tree/ /

FROM scratch AS final
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="ccm" \
      org.opencontainers.image.description="Contact Center Messaging: SMS conversations with the agents of Avaya Aura Contact Center" \
      org.opencontainers.image.vendor="WEBTEXT" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="https://github.com/webtext/contact-center-messaging" \
      org.opencontainers.image.documentation="https://github.com/webtext/contact-center-messaging/tree/main/docs" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=tree / /
ENV PATH=/usr/local/bin
USER 65532:65532
# No HEALTHCHECK: it would need a program in here that asks, and each role has another port. Kubernetes asks /healthz and /readyz itself; in
# compose.yaml the proxy does. No EXPOSE: ports are the roles' (docs/operations.md).
ENTRYPOINT ["/usr/local/bin/ccm"]
