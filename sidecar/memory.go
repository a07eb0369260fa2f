package sidecar

import (
	"fmt"
	"strings"
)

const (
	// memoryBase is for the program, its goroutines and its connections.
	memoryBase Size = 32 << 20
	// recordBytesMin is the least that an entry of a micronode's window takes.
	recordBytesMin = 104
)

// memoryPart is a part of the memory whose size the configuration gives.
type memoryPart struct {
	what  string
	bytes Size
}

// memoryParts are what the bounds of the configuration let the process take, as far as
// they are in bytes. Accounts, roots and connections come on top.
func (c *Config) memoryParts() []memoryPart {
	parts := []memoryPart{
		{"4 × store.memtable_bytes", 4 * c.Store.MemtableBytes},
		{"store.cache_bytes", c.Store.CacheBytes},
		{"limits.inflight_bytes", c.Limits.InflightBytes},
	}
	if c.Profile == Micronode {
		parts = append(parts, memoryPart{"window.entries of the least size", Size(c.Window.Entries) * recordBytesMin})
	} else {
		parts = append(parts, memoryPart{"idempotency.filter_bytes", c.Idempotency.FilterBytes})
	}
	if c.Retention.Keep > 0 {
		parts = append(parts, memoryPart{"archive.cache_bytes", c.Archive.CacheBytes})
	}
	return append(parts, memoryPart{"program and connections", memoryBase})
}

// softMemoryLimit is what Go's collector is told (GOMEMLIMIT), 0 = nothing: memory.limit,
// or what memory.container leaves beside the block cache. The cache lies on Go's heap or,
// in a build with cgo, outside of it; its size is left free for what Go does not count:
// pages of the program, buffers of the kernel.
func (c *Config) softMemoryLimit() Size {
	if c.Memory.Limit == 0 && c.Memory.Container > 0 {
		return c.Memory.Container - c.Store.CacheBytes
	}
	return c.Memory.Limit
}

// checkMemory refuses a limit in which the parts of known size have no room: the process
// would run for a while, and be killed under load.
func (c *Config) checkMemory() error {
	if c.Memory.Limit == 0 && c.Memory.Container == 0 {
		return nil
	}
	var need Size
	var sum []string
	for _, part := range c.memoryParts() {
		need += part.bytes
		sum = append(sum, fmt.Sprintf("%s %s", part.what, part.bytes))
	}
	has := fmt.Sprintf("memory.limit is %s", c.Memory.Limit)
	if c.Memory.Limit == 0 {
		has = fmt.Sprintf("memory.container is %s, which leaves %s beside store.cache_bytes", c.Memory.Container, max(0, c.softMemoryLimit()))
	}
	if c.softMemoryLimit() < need {
		return fmt.Errorf("check configuration: %s, and %s have to fit: %s: raise the limit, or lower what it has to hold",
			has, need, strings.Join(sum, " + "))
	}
	if c.Memory.Container > 0 && c.Memory.Limit > c.Memory.Container {
		return fmt.Errorf("check configuration: %s, more than the container has, %s: leave memory.limit at 0 to have it follow memory.container",
			has, c.Memory.Container)
	}
	return nil
}
