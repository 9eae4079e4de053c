# One image for every role: the binary, certificates, time zones and a user. No shell.
#
#   docker build --build-arg VERSION=v1.2.3 -t sluice:v1.2.3 .

FROM --platform=$BUILDPLATFORM golang:1.26.8-bookworm AS build
WORKDIR /src
COPY . .
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=dev
ENV CGO_ENABLED=0 GOTOOLCHAIN=local
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -ldflags "-s -w -X main.version=$VERSION" -o /out/sluice ./cmd/sluice
# A new volume takes its owner from the folder it is mounted on.
RUN mkdir -p /out/data

FROM gcr.io/distroless/static-debian12:nonroot@sha256:afa5c872c891853ca7fcf1f12c3edb23f7eeef36189728842dd51042ff57f7ab
LABEL org.opencontainers.image.title="sluice" \
      org.opencontainers.image.description="The hard-currency backend of a game that sells gems through RevenueCat" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /out/sluice /usr/local/bin/sluice
COPY --from=build --chown=65532:65532 /out/data /var/lib/sluice
USER 65532:65532
# Where docker-compose.yml has serve (8080), simulate (8081) and the metrics of the other roles (9090) listen.
EXPOSE 8080 8081 9090
# No HEALTHCHECK: what to ask depends on the role. `sluice health` is there for it.
ENTRYPOINT ["/usr/local/bin/sluice"]
