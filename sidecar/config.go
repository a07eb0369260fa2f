package sidecar

import (
	"encoding/hex"
	"errors"
	"io/fs"
	"path/filepath"
	"runtime"
	"time"
)

// Profiles of a sidecar.
const (
	Micronode = "micronode" // everything in memory, a bounded window of history
	Macronode = "macronode" // durable on disk
)

const (
	reversalsDisabled  = "disabled"
	clientPathsMetrics = "metrics"
	clientPathsAll     = "all"
	landlockAuto       = "auto"
)

// Config is everything that can be set. A key is the path of the toml tags
// ("uds.idle_timeout"); its environment variable is RON_LEDGER_ and the key in
// capitals with _ for the dot (RON_LEDGER_UDS_IDLE_TIMEOUT), or RON_LEDGER_ and the
// env tag. The allowed tag gives the bounds: least..most, or a|b|c. What each key
// means is in docs/CONFIG.md.
type Config struct {
	Profile string `toml:"profile" allowed:"micronode|macronode"`
	Home    string `toml:"home"`
	Name    string `toml:"name"`

	Accumulator AccumulatorConfig `toml:"accumulator"`
	UDS         UDSConfig         `toml:"uds"`
	HTTPS       HTTPSConfig       `toml:"https"`
	TLS         TLSConfig         `toml:"tls"`
	Hardening   HardeningConfig   `toml:"hardening"`
	Concurrency ConcurrencyConfig `toml:"concurrency"`
	Queues      QueuesConfig      `toml:"queues"`
	Commit      CommitConfig      `toml:"commit"`
	Checkpoint  CheckpointConfig  `toml:"checkpoint"`
	Cache       CacheConfig       `toml:"cache"`
	Idempotency IdempotencyConfig `toml:"idempotency"`
	Limits      LimitsConfig      `toml:"limits"`
	Disk        DiskConfig        `toml:"disk"`
	Store       StoreConfig       `toml:"store"`
	Window      WindowConfig      `toml:"window"`
	Archive     ArchiveConfig     `toml:"archive"`
	Retention   RetentionConfig   `toml:"retention"`
	Scrub       ScrubConfig       `toml:"scrub"`
	Stream      StreamConfig      `toml:"stream"`
	Governance  GovernanceConfig  `toml:"governance"`
	Keys        KeysConfig        `toml:"keys"`
	Shutdown    ShutdownConfig    `toml:"shutdown"`
	Log         LogConfig         `toml:"log"`
	Trace       TraceConfig       `toml:"trace"`
	Memory      MemoryConfig      `toml:"memory"`

	file          string // that was read; empty: none
	homeIsDefault bool   // nobody has chosen it: commands need not name it
}

// AccumulatorConfig chooses the tree. It is read when a ledger is created.
type AccumulatorConfig struct {
	Hash  string `toml:"hash" allowed:"blake3|sha256"`
	LogID string `toml:"log_id"`
}

// UDSConfig is about the Unix-domain socket and the connections over it.
type UDSConfig struct {
	Path                 string   `toml:"path" env:"SOCKET"`
	Mode                 FileMode `toml:"mode"`
	DirMode              FileMode `toml:"dir_mode"`
	AllowUIDs            []uint32 `toml:"allow_uids"`
	AllowGIDs            []uint32 `toml:"allow_gids"`
	Grant                string   `toml:"grant"`
	HandshakeTimeout     Duration `toml:"handshake_timeout" allowed:"10ms..1m"`
	FrameTimeout         Duration `toml:"frame_timeout" allowed:"100ms..10m"`
	IdleTimeout          Duration `toml:"idle_timeout" allowed:"1s..168h"`
	WriteTimeout         Duration `toml:"write_timeout" allowed:"100ms..10m"`
	MaxConnections       int      `toml:"max_connections" allowed:"1..65536"`
	MaxConnectionsPerUID int      `toml:"max_connections_per_uid" allowed:"1..65536"`
	MaxInflight          int      `toml:"max_inflight" allowed:"1..65536"`
}

// HTTPSConfig is about the port for other regions.
type HTTPSConfig struct {
	Addr           string   `toml:"addr" env:"HTTPS"`
	CertFile       string   `toml:"cert_file"`
	KeyFile        string   `toml:"key_file"`
	MaxWait        Duration `toml:"max_wait" allowed:"0s..10m"`
	MaxConnections int      `toml:"max_connections" allowed:"1..65536"`
}

// TLSConfig is about who may read over HTTPS.
type TLSConfig struct {
	ClientCA    string `toml:"client_ca"`
	ClientPaths string `toml:"client_paths" allowed:"metrics|all"`
}

// HardeningConfig is about what the process gives up once it has started.
type HardeningConfig struct {
	Landlock string `toml:"landlock" allowed:"auto|off"`
}

// ConcurrencyConfig bounds work that runs in parallel.
type ConcurrencyConfig struct {
	Prevalidators int `toml:"prevalidators" allowed:"1..1024"`
}

// QueuesConfig bounds the queues, in requests.
type QueuesConfig struct {
	Ingress int `toml:"ingress" allowed:"1..1000000"`
	Commit  int `toml:"commit" allowed:"1..1000000"`
}

// CommitConfig is about the group commit.
type CommitConfig struct {
	BatchMaxEntries int `toml:"batch_max_entries" allowed:"1..65536"`
}

// CheckpointConfig is about the checkpoints of derived state, and those that are signed for witnesses.
type CheckpointConfig struct {
	IntervalEntries int      `toml:"interval_entries" allowed:"256..16777216"`
	PublishInterval Duration `toml:"publish_interval" allowed:"1s..24h"`
}

// CacheConfig bounds what is kept in memory of what is on disk.
type CacheConfig struct {
	Accounts int `toml:"accounts" allowed:"1024..16777216"`
}

// IdempotencyConfig is about telling new entries from repeated ones.
type IdempotencyConfig struct {
	FilterBytes Size `toml:"filter_bytes" allowed:"64KiB..4GiB"`
}

// LimitsConfig bounds what a peer can make the sidecar read.
type LimitsConfig struct {
	MaxFrame             Size `toml:"max_frame" allowed:"4KiB..16MiB"`
	InflightBytes        Size `toml:"inflight_bytes" allowed:"1MiB..64GiB"`
	DecompressRatio      int  `toml:"decompress_ratio" allowed:"1..1000"`
	MaxEntriesPerRequest int  `toml:"max_entries_per_request" allowed:"1..65536"`
}

// DiskConfig is about free disk space.
type DiskConfig struct {
	ReserveBytes Size `toml:"reserve_bytes" allowed:"0..1TiB"`
}

// StoreConfig is about the databases.
type StoreConfig struct {
	Compression   string `toml:"compression" allowed:"s2|none"`
	MemtableBytes Size   `toml:"memtable_bytes" allowed:"256KiB..256MiB"`
	CacheBytes    Size   `toml:"cache_bytes" allowed:"1MiB..1GiB"`
}

// WindowConfig bounds the history that a micronode keeps.
type WindowConfig struct {
	Entries int `toml:"entries" allowed:"1024..16777216"`
}

// ArchiveConfig is about the copy of the log that is kept elsewhere.
type ArchiveConfig struct {
	Dir         string   `toml:"dir"`
	URL         string   `toml:"url"`
	Credentials string   `toml:"credentials"`
	Adopt       string   `toml:"adopt"`
	Mode        string   `toml:"mode" allowed:"async|sync"`
	Uploads     int      `toml:"uploads" allowed:"1..8"`
	Interval    Duration `toml:"interval" allowed:"1s..1h"`
	CacheBytes  Size     `toml:"cache_bytes" allowed:"1MiB..4GiB"`
}

// RetentionConfig says how much of the log stays here once it is archived.
type RetentionConfig struct {
	Keep int `toml:"keep" allowed:"0..1000000000000"`
}

// ScrubConfig is about reading again what is on disk.
type ScrubConfig struct {
	Interval       Duration `toml:"interval" allowed:"0s..8760h"`
	BytesPerSecond Size     `toml:"bytes_per_second" allowed:"64KiB..1GiB"`
}

// StreamConfig is about telling others of every commit.
type StreamConfig struct {
	NATS NATSConfig `toml:"nats"`
}

// NATSConfig says which subject of a NATS JetStream is told, and how it is reached.
type NATSConfig struct {
	URL         string `toml:"url"`
	Subject     string `toml:"subject"`
	Entries     string `toml:"entries" allowed:"none|all"`
	Credentials string `toml:"credentials"`
	CAFile      string `toml:"ca_file"`
	CertFile    string `toml:"cert_file"`
	KeyFile     string `toml:"key_file"`
}

// GovernanceConfig says which acts of governance are possible at all.
type GovernanceConfig struct {
	Reversals string `toml:"reversals" allowed:"disabled|require-capability"`
}

// KeysConfig names the files with the keys of tokens.
type KeysConfig struct {
	Keyring     string `toml:"keyring"`
	Revocations string `toml:"revocations"`
	Adopt       string `toml:"adopt"`
}

// ShutdownConfig is about stopping.
type ShutdownConfig struct {
	Timeout Duration `toml:"timeout" allowed:"100ms..10m"`
}

// LogConfig is about the log for people, on standard error.
type LogConfig struct {
	Level  string `toml:"level" allowed:"debug|info|warn|error"`
	Format string `toml:"format" allowed:"json|console|auto"`
}

// TraceConfig is about finding out why something was slow.
type TraceConfig struct {
	SlowCommit Duration `toml:"slow_commit" allowed:"0s..1m"`
}

// MemoryConfig is about the memory of the process.
type MemoryConfig struct {
	Limit     Size `toml:"limit" allowed:"0..1TiB"`
	Container Size `toml:"container" allowed:"0..1TiB"`
}

// Defaults returns the configuration of a profile before file, environment and
// flags. Home is empty: Load finds it, other callers set it. What Home decides
// (socket, keyring) is left empty too and found when it is asked for.
func Defaults(profile string) *Config {
	c := &Config{
		Profile: profile, Name: "ron-ledger",
		Accumulator: AccumulatorConfig{Hash: "blake3"},
		UDS: UDSConfig{
			Mode: 0o600, AllowUIDs: []uint32{}, AllowGIDs: []uint32{},
			HandshakeTimeout: seconds(1), FrameTimeout: seconds(10), IdleTimeout: seconds(600), WriteTimeout: seconds(10),
			MaxConnections: 1024, MaxConnectionsPerUID: 512, MaxInflight: 64,
		},
		HTTPS:       HTTPSConfig{Addr: "127.0.0.1:5082", MaxWait: seconds(60), MaxConnections: 1024},
		TLS:         TLSConfig{ClientPaths: clientPathsMetrics},
		Hardening:   HardeningConfig{Landlock: landlockAuto},
		Concurrency: ConcurrencyConfig{Prevalidators: max(2, runtime.NumCPU()/2)},
		Queues:      QueuesConfig{Ingress: 2000, Commit: 1000},
		Commit:      CommitConfig{BatchMaxEntries: 1024},
		Checkpoint:  CheckpointConfig{IntervalEntries: 65_536, PublishInterval: seconds(60)},
		Cache:       CacheConfig{Accounts: 262_144},
		Idempotency: IdempotencyConfig{FilterBytes: 32 << 20},
		Limits:      LimitsConfig{MaxFrame: 1 << 20, InflightBytes: 128 << 20, DecompressRatio: 10, MaxEntriesPerRequest: 8192},
		Disk:        DiskConfig{ReserveBytes: 256 << 20},
		Store:       StoreConfig{Compression: "s2", MemtableBytes: 16 << 20, CacheBytes: 24 << 20},
		Window:      WindowConfig{Entries: 131_072},
		Archive:     ArchiveConfig{Mode: archiveAsync, Uploads: 4, Interval: seconds(60), CacheBytes: 32 << 20},
		Scrub:       ScrubConfig{Interval: seconds(24 * 60 * 60), BytesPerSecond: 4 << 20},
		Stream:      StreamConfig{NATS: NATSConfig{Subject: "ledger.commit", Entries: streamEntriesNone}},
		Governance:  GovernanceConfig{Reversals: reversalsDisabled},
		Shutdown:    ShutdownConfig{Timeout: seconds(20)},
		Log:         LogConfig{Level: "info", Format: "auto"},
	}
	if profile == Micronode {
		c.Cache.Accounts = 65_536
		c.Disk.ReserveBytes = 0
		c.Limits.InflightBytes = 32 << 20
		c.Store.MemtableBytes, c.Store.CacheBytes = 4<<20, 4<<20
	}
	return c
}

func seconds(n int) Duration { return Duration(time.Duration(n) * time.Second) }

// Names of the files in a home that its clients need.
const (
	SocketFile = "ledger.sock" // unless uds.path says otherwise
	TokenFile  = "token"       // a token with every right
)

// Names of the files in a home, beside those of the store.
const (
	lockFile    = "lock"
	keyringFile = "keyring"
	nodeKeyFile = "node.key"
	vkeyFile    = "node.vkey"
	certFile    = "tls.crt"
	certKeyFile = "tls.key"
)

func (c *Config) inHome(configured, name string) string {
	if configured != "" {
		return configured
	}
	return filepath.Join(c.Home, name)
}

// socketPath returns uds.path, or what it is by default.
func (c *Config) socketPath() string { return c.inHome(c.UDS.Path, SocketFile) }

// logID returns the log id for a ledger that is created; zero = random.
func (c *Config) logID() (id [16]byte, err error) {
	decoded, err := hex.DecodeString(c.Accumulator.LogID)
	if err == nil && len(decoded) != len(id) && len(decoded) != 0 {
		err = errors.New("wrong length")
	}
	copy(id[:], decoded)
	return id, err
}

// windowEntries returns how many entries the ledger remembers, 0 = all.
func (c *Config) windowEntries() uint64 {
	if c.Profile == Micronode {
		return uint64(c.Window.Entries)
	}
	return 0
}

// socketModes are the permissions that uds.mode may give: connecting needs the
// write bit, and nobody needs to execute a socket.
const socketModes = fs.FileMode(0o666)
