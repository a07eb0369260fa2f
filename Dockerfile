# The image of the sidecar: both programs, static, and nothing else, run as nobody in particular.
#   docker build -t ron-ledger:dev .
# and of the application that shows how to use it:
#   docker build --target example -t ron-ledger-example:dev .
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
# The command of `just build`, word for word.
RUN CGO_ENABLED=0 go build -buildvcs=auto -trimpath -ldflags '-s -w' $(printf ' -gcflags=%s/...=-l' \
    google.golang.org/protobuf github.com/gogo/protobuf github.com/cockroachdb/errors github.com/cockroachdb/redact \
    github.com/getsentry golang.org/x/text github.com/kr github.com/spf13 github.com/jedib0t text/template github.com/pelletier \
    regexp github.com/prometheus/procfs github.com/prometheus/common github.com/minio/minlz github.com/klauspost/compress/flate \
    net/http vendor crypto/x509 crypto/tls math/big go.uber.org encoding/json) \
    -o bin/ ./sidecar/ron-ledgerd ./tools/ledgerctl
RUN CGO_ENABLED=0 go build -buildvcs=auto -trimpath -ldflags '-s -w' -o bin/ ./k8s/example

FROM scratch AS example
COPY --from=build /src/bin/example /example
USER 10001:10001
ENTRYPOINT ["/example"]

FROM scratch AS ledger
COPY --from=build /src/bin/ron-ledgerd /src/bin/ledgerctl /
COPY LICENSE /
USER 65532:65532
EXPOSE 5082
ENTRYPOINT ["/ron-ledgerd"]
