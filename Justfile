# What is done with this repository, one recipe each; `just` alone lists them.
# Two of them need nothing but Go: go run ./sidecar/ron-ledgerd and go test ./...

set shell := ["bash", "-euo", "pipefail", "-c"]

staticcheck := "honnef.co/go/tools/cmd/staticcheck@v0.8.2"

# Where goroutines share something, and so the race detector may find something.
concurrent := "./committer ./store ./wire/... ./peercred ./sidecar/... ./tools/..."

# list the recipes
default:
    @just --list --unsorted

# start the sidecar: flags of ron-ledgerd may follow
run *FLAGS:
    go run ./sidecar/ron-ledgerd {{FLAGS}}

# build the program, static, into bin/ under its two names, ledgerctl and ron-ledgerd; --version of both tell the commit
build:
    CGO_ENABLED=0 go build -buildvcs=auto -trimpath -ldflags '-s -w' -o bin/ ./tools/ledgerctl && ln -f bin/ledgerctl bin/ron-ledgerd

# the tests
test:
    go test ./...

# formatting, go vet, staticcheck; each also with the expensive checks armed
lint:
    @files=$(git ls-files -co --exclude-standard '*.go'); unformatted=$(gofmt -s -l $files); \
    if [ -n "$unformatted" ]; then echo "not formatted, run gofmt -s -w on:"; echo "$unformatted"; exit 1; fi
    go vet ./...
    go vet -tags invariants ./...
    go vet -tags oracle ./...
    go vet -tags clients ./...
    go vet -tags fleet ./sidecar/sidecartest
    go vet -tags mutations ./testing/mutations
    go run {{staticcheck}} ./...
    go run {{staticcheck}} -tags oracle ./sidecar/sidecartest
    go run {{staticcheck}} -tags clients ./sidecar/sidecartest
    go run {{staticcheck}} -tags fleet ./sidecar/sidecartest
    go run {{staticcheck}} -tags invariants ./...

# The race detector makes a sync.Pool drop at random, and everything slower: allocations and the time of a start are
# not judged under it.

# the tests of what runs in parallel, under the race detector (this alone needs cgo)
race:
    CGO_ENABLED=1 go test -race -timeout 15m -skip '^(TestCrash|TestKills|TestSystemCalls|TestClockJumps|TestMounts|TestOutOf|TestFaultsAt|TestSimulation|TestKilledStart)|Alloc' {{concurrent}}

# the tests with the expensive checks armed, ours and Pebble's; the checks allocate, so allocations are not counted here
invariants:
    go test -tags invariants -timeout 15m -skip '^(TestCrash|TestKills|TestSystemCalls|TestClockJumps|TestMounts|TestOutOf|TestFaultsAt|TestSimulation)|Alloc' ./...

# every fuzz target for so long (a Go duration: 30s, or 1000x for a count)
fuzz TIME="30s":
    .ci/fuzz {{TIME}}

# kill the sidecar amid an append of the bank journal, so many rounds
crash ROUNDS=env("CRASH_ROUNDS", "50"):
    CRASH_ROUNDS={{ROUNDS}} go test ./sidecar/sidecartest -run '^TestCrash' -count 1 -timeout 60m -v

# kill the sidecar so many times amid the appends of several writers, and hold what is left against their journals
kills ROUNDS=env("KILL_ROUNDS", "500"):
    KILL_ROUNDS={{ROUNDS}} go test ./sidecar/sidecartest -run '^TestKills' -count 1 -timeout 60m -v

# let faults meet every STRIDE-th system call of a short run of the real program: SIGKILL, errors, short writes (amd64)
syscalls STRIDE="1":
    SYSCALL_STRIDE={{STRIDE}} go test ./sidecar/sidecartest -run '^TestSystemCalls' -count 1 -timeout 120m -v

# small, full and failing file systems in a mount namespace, and so many power cuts on ext4 (as root, with loop devices)
mounts CUTS=env("POWER_CUTS", "100"):
    POWER_CUTS={{CUTS}} go test ./sidecar/sidecartest -run '^TestMounts' -count 1 -timeout 60m -v

# take out measures against loss, one at a time: the test of each has to fail. WHICH is "all" or a part of a name
mutations WHICH="all":
    MUTATIONS='{{WHICH}}' go test -tags mutations ./testing/mutations -run '^TestMutations' -count 1 -timeout 120m -v

# let each attack of `ledgerctl chaos` do its worst to a sidecar of its own for so many seconds, and demand its verdict
chaos SECONDS="10":
    CHAOS_SECONDS={{SECONDS}} go test ./tools/ledgerctl/chaos -run '^TestChaos$' -count 1 -timeout 30m -v

# make the golden homes that are named in golden_test.go and missing, once for a release
golden-homes:
    GOLDEN_HOMES=make go test ./sidecar/sidecartest -run '^TestGoldenHomes' -count 1 -timeout 10m -v

# hold the ledger against the independent model of its rules, over so many entries
model ENTRIES=env("MODEL_ENTRIES", "1000000"):
    MODEL_ENTRIES={{ENTRIES}} go test ./sidecar/sidecartest -run '^TestModel' -count 1 -timeout 60m -v

# let every file operation of a run fail in every way, and crash behind each (some 20 minutes), or in those ways whose names contain INCIDENT
faults INCIDENT="":
    FAULT_ALL=1 go test ./sidecar/sidecartest -run '^TestFaults/{{INCIDENT}}' -count 1 -timeout 60m -v

# book so many entries beside an archive and snapshots, restore them, and say how long it takes
restore ENTRIES="1000000":
    BACKUP_ENTRIES={{ENTRIES}} go test ./sidecar/sidecartest -run '^TestBackupUnderLoad' -count 1 -timeout 120m -v

versitygw := "github.com/versity/versitygw/cmd/versitygw@v1.8.0"

# a real object store, versitygw, under the tests of the archive, and takeovers over it
objects ROUNDS="8": _versitygw
    VERSITYGW="$PWD/out/versitygw" go test ./archive/bucket -count 1 -timeout 5m -v -run '^TestObjects'
    VERSITYGW="$PWD/out/versitygw" TAKEOVER_ROUNDS={{ROUNDS}} go test ./sidecar/sidecartest -count 1 -timeout 10m -v -run '^Test(TakeOver|BodiesInObjectStore)$'

# take a ledger over so many times under load, over versitygw and a network that fails: sync and async by turns, the old writer killed, paused, partitioned or undisturbed; the rounds from FIRST on of SEED
takeover ROUNDS="100" FIRST="0" SEED=env("TAKEOVER_SEED", "1"): _versitygw
    VERSITYGW="$PWD/out/versitygw" TAKEOVER_ROUNDS={{ROUNDS}} TAKEOVER_FIRST={{FIRST}} TAKEOVER_SEED={{SEED}} go test ./sidecar/sidecartest -count 1 -timeout 120m -v -run '^TestTakeOver$'

# take the object store away for so long under load, in async and in sync: what goes on, what is told, how far memory grows
outage DURATION="10m": _versitygw
    VERSITYGW="$PWD/out/versitygw" OUTAGE={{DURATION}} go test ./sidecar/sidecartest -count 1 -timeout 60m -parallel 2 -v -run '^TestOutage$'

# take a ledger of so many entries over from its archive: from the newest snapshot there and the segments behind it, and from the segments alone
adopt ENTRIES="1000000":
    ADOPT_ENTRIES={{ENTRIES}} go test ./sidecar/sidecartest -count 1 -timeout 60m -v -run '^TestAdoptFromSnapshot$'

_versitygw:
    @mkdir -p out; [ -x out/versitygw ] || { GOBIN="$PWD/out" GOFLAGS=-mod=mod go install {{versitygw}}; }

# throughput and latency of a ledger on disk without an archive, and with one in an object store that answers after DELAY, async and sync
archive-bench DELAY="20ms" *FLAGS="--connections 64 --batch 16": build
    @mkdir -p out; go build -o out/serves3 ./archive/bucket/fakes3/serves3; \
    out/serves3 --addr 127.0.0.1:5090 --delay {{DELAY}} & trap "kill $!" EXIT; sleep 0.5; \
    export AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any; \
    for mode in local async sync; do echo "== $mode, {{DELAY}}"; \
        [ $mode = local ] || export RON_LEDGER_ARCHIVE_URL="s3://bench/$mode?endpoint=http://127.0.0.1:5090" RON_LEDGER_ARCHIVE_MODE=$mode RON_LEDGER_ARCHIVE_INTERVAL=1s; \
        bin/ledgerctl bench --spawn --node macronode {{FLAGS}} || true; done

# end a restore at every STRIDE-th change of a file, and begin it again
restore-kills STRIDE="1":
    RESTORE_STRIDE={{STRIDE}} go test ./sidecar/sidecartest -run '^TestRestoreKilled' -count 1 -timeout 120m -v

# flip a bit in every STRIDE-th byte of every file of a small home
bitrot STRIDE="1":
    BITROT_STRIDE={{STRIDE}} go test ./sidecar ./sidecar/sidecartest -run '^TestRot' -count 1 -timeout 60m -v

# simulate so many crashes of ledgers from a seed
sim SEED STEPS=env("SIM_STEPS", "10000"):
    SIM_SEED={{SEED}} SIM_STEPS={{STEPS}} go test ./sidecar/sidecartest -run '^TestSimulation' -count 1 -timeout 60m -v

# simulate so many crashes of whole sidecars from a seed: sessions over pipes that are cut, under a simulated clock
sim-sidecar SEED CRASHES=env("SIM_SIDECAR_CRASHES", "10000"):
    SIM_SEED={{SEED}} SIM_SIDECAR_CRASHES={{CRASHES}} go test ./sidecar -run '^TestSimulatedSidecar' -count 1 -timeout 60m -v

# have hledger add up the accepted entries of the bank journal and of a random ledger; installs hledger (Debian) where it is missing
oracle ENTRIES=env("ORACLE_ENTRIES", "20000"):
    @command -v hledger >/dev/null || { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends hledger; } || \
        { echo "hledger cannot be installed here: it is a package of Debian, or see https://hledger.org/install.html" >&2; exit 1; }
    ORACLE_ENTRIES={{ENTRIES}} go test -tags oracle ./sidecar/sidecartest -run '^TestOracle' -count 1 -timeout 10m -v

# by how much a flood and 500 unfinished handshakes lengthen the wait of another uid, in so many rounds; needs root, and a quiet machine
flood ROUNDS="9":
    FLOOD_ROUNDS={{ROUNDS}} go test ./sidecar/sidecartest -run '^TestFloodLatency' -count 1 -timeout 20m -v

# have public tools check an exported ledger: Tessera's fsck and client, in a module of their own
interop:
    cd testing/interop && go vet ./... && go test -count 1 -timeout 10m ./...

# the commit stream against a real nats-server, both killed so many times under load; in a module of its own. STREAM_SEED repeats a run
stream ROUNDS=env("STREAM_ROUNDS", "100"):
    cd testing/stream && go vet ./... && STREAM_ROUNDS={{ROUNDS}} go test -count 1 -timeout 20m -v ./...

# what many ledgers and large ones take: bytes, requests and money, measured here, computed and simulated
scale *FLAGS:
    go run ./testing/scale {{FLAGS}}

# the time of proofs over the socket, of a ledger of so many entries (10 million take some 3 GB of disk)
prove ENTRIES="10000000":
    PROVE_ENTRIES={{ENTRIES}} go test ./sidecar -run '^$' -bench '^BenchmarkProve$' -benchtime 2s -timeout 60m

# follow so many real sidecars with one monitor, and let some of them fork, roll back and fall silent (200 take some 6 GB of memory)
fleet LEDGERS="200" INTERVAL="10s":
    FLEET_LEDGERS={{LEDGERS}} FLEET_INTERVAL={{INTERVAL}} go test -tags fleet ./sidecar/sidecartest -run '^TestFleet$' -count 1 -timeout 10m -v

# the clients in other languages: types, golden vectors, behaviour, a short torture; installs python3, mypy, nodejs (Debian), typescript (npm)
clients:
    .ci/clients

# torture all clients: so many restarts of the sidecar under load, connections cut at random bytes, tokens rotated, queues full
torture RESTARTS=env("CLIENT_RESTARTS", "50"):
    CLIENT_RESTARTS={{RESTARTS}} go test -tags clients ./sidecar/sidecartest -run '^TestClientsTorture' -count 1 -timeout 60m -v

# how many entries each client appends a second, and what that costs it
clients-bench:
    go test -tags clients ./sidecar/sidecartest -run '^$' -bench '^BenchmarkClients' -benchtime 1x -count 1 -timeout 10m

# the benchmarks beside the packages; 1x only tries whether they run
bench TIME="1s":
    go test -run '^$' -bench . -benchmem -benchtime {{TIME}} -timeout 30m ./...

perf := "go run ./testing/performance/perf"

# both profiles against their baselines, into out/perf: gate.json and gate.md
perf *FLAGS:
    {{perf}} gate {{FLAGS}}

# the same in half a minute, with the tolerances that `just perf-spread` has earned
perf-short *FLAGS:
    {{perf}} gate --short {{FLAGS}}

# a build with slow syncs, which the short gate has to refuse
perf-slowed:
    @if output=$({{perf}} gate --short --tags slowed 2>&1); then echo "$output"; echo "the gate lets a slowed build pass" >&2; exit 1; fi; \
        if grep -q 'macronode got worse: .*ingest_rps_sustained' <<<"$output"; then echo "the gate refuses a slowed build: $(grep 'macronode got worse' <<<"$output")"; \
        else echo "$output" >&2; exit 1; fi

# new baselines; the tolerances of the short form are those of before
perf-baseline *FLAGS:
    {{perf}} gate --write {{FLAGS}}

# how far so many runs of the short form stray on one tree; --write makes tolerances of it
perf-spread TIMES="30" *FLAGS:
    {{perf}} spread --times {{TIMES}} {{FLAGS}}

# the HTTPS port under bombardier, vegeta and k6, so many seconds each
perf-roots SECONDS="10":
    SECONDS_EACH={{SECONDS}} testing/performance/https/run

# every goal in one table, medians of three, into out/perf/goals.md
goals *FLAGS:
    {{perf}} goals {{FLAGS}}

# one home at 1, 3, 10, 30 and 50 million entries, into out/perf: curve.json, curve.md, curve.svg
curve *FLAGS:
    {{perf}} curve {{FLAGS}}

# 60 % of the maximum for half an hour, and the home behind it, into out/perf/soak.md
soak *FLAGS:
    {{perf}} soak {{FLAGS}}

# where the CPU of an entry goes, station by station, into out/perf/budget.md
budget *FLAGS:
    {{perf}} budget {{FLAGS}}

# each setting turned by itself, in turns with the default, into out/perf/knobs.md
knobs *FLAGS:
    {{perf}} knobs {{FLAGS}}

# what others would use, under the same loads in the same run, into out/perf/peers.md
peers *FLAGS:
    mkdir -p out/perf
    CGO_ENABLED=0 go build -o out/perf/ ./tools/ledgerctl
    cd testing/performance/peers && go build -o ../../../out/perf/peers \
        -ldflags '-X google.golang.org/protobuf/reflect/protoregistry.conflictPolicy=ignore' . # etcd and immudb register the same extension
    out/perf/peers --dir out/perf --out out/perf --ledgerctl out/perf/ledgerctl {{FLAGS}}

# what requests wait without a scrub and beside one that never pauses, so many seconds each; needs a quiet machine
scrub-latency SECONDS="20" *FLAGS="--profile macronode":
    mkdir -p out/perf
    CGO_ENABLED=0 go build -o out/perf/ ./tools/ledgerctl
    for interval in 0s 1s 0s 1s; do \
        echo "scrub.interval $interval"; \
        RON_LEDGER_SCRUB_INTERVAL=$interval out/perf/ledgerctl bench --spawn --dir out/perf --duration {{SECONDS}}s {{FLAGS}} || echo "a service level was missed"; \
    done

# CPU of a sidecar under load: out/perf/cpu.svg and cpu.folded; flags of ledgerctl bench may follow
flame *FLAGS="--profile macronode":
    mkdir -p out/perf
    CGO_ENABLED=0 go build -o out/perf/ ./tools/ledgerctl
    out/perf/ledgerctl bench --spawn --dir out/perf --cpuprofile out/perf/cpu.pprof {{FLAGS}} || echo "a service level was missed"
    go tool pprof -traces out/perf/ledgerctl out/perf/cpu.pprof | testing/performance/fold > out/perf/cpu.folded
    testing/performance/flame < out/perf/cpu.folded > out/perf/cpu.svg
    go tool pprof -top -nodecount 30 out/perf/ledgerctl out/perf/cpu.pprof

# take the profile anew by which the compiler optimises the programs: three loads, merged into tools/ledgerctl/default.pgo
pgo:
    mkdir -p out/perf
    CGO_ENABLED=0 go build -pgo=off -o out/perf/ ./tools/ledgerctl
    for load in '--profile macronode' '--batch 16' '--batch 1000' '--batch 16 --nonces random'; do \
        out/perf/ledgerctl bench --spawn --dir out/perf --duration 15s --cpuprofile "out/perf/${load//[^a-z0-9]/}.pgo" $load >/dev/null || echo "a service level was missed"; \
    done
    go tool pprof -proto out/perf/profilemacronode.pgo out/perf/batch16.pgo out/perf/batch1000.pgo out/perf/batch16noncesrandom.pgo > tools/ledgerctl/default.pgo

# the benchmarks at another revision and here, compared by benchstat
bench-compare REV PACKAGES="./wire ./store ./committer/...":
    testing/performance/compare {{REV}} {{PACKAGES}}

# render the manifests, decode them strictly, hold them against the sidecar; Dockerfile and systemd unit too
k8s-check:
    @command -v systemd-analyze >/dev/null || { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends systemd; } || \
        { echo "systemd-analyze cannot be installed here: it comes with systemd" >&2; exit 1; }
    export GOFLAGS="${GOFLAGS:-} -mod=mod"; cd k8s/check && go vet ./... && go run {{staticcheck}} ./... && go test -count 1 -timeout 10m -skip '^TestMonitoring' -v .

# let each alert fire and not fire, and ask every query of the dashboard of a real Prometheus that scrapes a sidecar under load
monitoring:
    @command -v prometheus >/dev/null || { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends prometheus; } || \
        { echo "prometheus and promtool cannot be installed here: they are a package of Debian, or see https://prometheus.io/download" >&2; exit 1; }
    export GOFLAGS="${GOFLAGS:-} -mod=mod"; cd k8s/check && go test -count 1 -timeout 10m -run '^TestMonitoring' -v .

# the documents: links, recipes, and every example of README and docs carried out; installs python3, nodejs, curl (Debian) where they are missing
docs:
    @missing=(); for tool in python3 node curl; do command -v $tool >/dev/null || missing+=(${tool/%node/nodejs}); done; \
        [ ${#missing[@]} = 0 ] || { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"; }
    DOCS=all go test -run '^TestDocs' -count 1 -timeout 10m -v .

# all that is asked of a change before it is merged
ci:
    .ci/run
