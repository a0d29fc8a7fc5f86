# The image of a release: the static binary and nothing else. The context has one directory an architecture, each with the
# binary of .ci/package: docker buildx build --platform linux/amd64,linux/arm64 CONTEXT
FROM scratch
ARG TARGETARCH
COPY ${TARGETARCH}/wi /wi
# Not root, and no name to look up: there is no /etc/passwd.
USER 65532:65532
WORKDIR /work
ENTRYPOINT ["/wi"]
