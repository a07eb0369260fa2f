# The image of the sidecar: the program under its two names, static, and nothing else, run as nobody in particular.
#   docker build -t ron-ledger:dev .
# and of the application that shows how to use it:
#   docker build --target example -t ron-ledger-example:dev .
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
# The command of `just build`, word for word: one file under two names.
RUN CGO_ENABLED=0 go build -buildvcs=auto -trimpath -ldflags '-s -w' -o bin/ ./tools/ledgerctl && ln -f bin/ledgerctl bin/ron-ledgerd
RUN CGO_ENABLED=0 go build -buildvcs=auto -trimpath -ldflags '-s -w' -o out/ ./k8s/example

FROM scratch AS example
COPY --from=build /src/out/example /example
USER 10001:10001
ENTRYPOINT ["/example"]

FROM scratch AS ledger
# The folder as a whole, so that the two names stay one file.
COPY --from=build /src/bin/ /
COPY LICENSE /
USER 65532:65532
EXPOSE 5082
ENTRYPOINT ["/ron-ledgerd"]
