package merkle

import (
	"encoding/binary"

	"lukechampine.com/blake3/guts"
)

// A hash of a few hundred bytes leaves most of a vector unit idle, and a ledger has many of them to make
// at a time: all records of a request, all nodes of a level. Eight of them go through the compression
// function of BLAKE3 side by side (lanes_amd64.s), each in a lane of its own, which takes about as long as one.

// lanes is how many hashes go side by side.
const lanes = 8

// fewLanes is how many are worth it: so few are as fast one behind the other.
const fewLanes = 2

// Chaining values as compress8 has them: bytes, little-endian.
var leafKeyBytes, nodeKeyBytes = keyBytes(&leafKey), keyBytes(&nodeKey)

func keyBytes(key *[8]uint32) (h Hash) {
	for i, word := range key {
		binary.LittleEndian.PutUint32(h[4*i:], word)
	}
	return h
}

// AppendLeaves appends to leaves the hash of the leaf of each record, and returns the extended slice. The
// records lie back to back; ends says where each of them ends. It does not allocate where leaves has room.
func (k HashKind) AppendLeaves(leaves []Hash, records []byte, ends []uint32) []Hash {
	if k == Blake3 && haveLanes && len(ends) >= fewLanes {
		have := len(leaves)
		for range ends {
			leaves = append(leaves, Hash{})
		}
		blake3Leaves(leaves[have:], records, ends)
		return leaves
	}
	start := uint32(0)
	for _, end := range ends {
		leaves = append(leaves, k.Leaf(records[start:end]))
		start = end
	}
	return leaves
}

// blake3Leaves hashes records side by side. A lane that is done takes the next record, so that all are busy
// whatever the lengths.
func blake3Leaves(leaves []Hash, records []byte, ends []uint32) {
	var (
		cvs     [lanes]Hash
		blocks  [lanes]*byte
		lengths [lanes]uint32
		flags   [lanes]uint32

		rest   [lanes][]byte // of the record of each lane; nil: it has none
		leaf   [lanes]int    // where its hash goes
		padded [lanes][guts.BlockSize]byte
	)
	for lane := range lanes {
		blocks[lane] = &padded[lane][0] // of a lane that never has a record, too
	}
	waiting := leafQueue{leaves: leaves, records: records, ends: ends}
	for {
		busy := false
		for lane := range lanes {
			if len(rest[lane]) == 0 {
				if rest[lane], leaf[lane] = waiting.next(); rest[lane] == nil {
					continue
				}
				cvs[lane], flags[lane] = leafKeyBytes, guts.FlagDeriveKeyMaterial|guts.FlagChunkStart
			}
			busy = true
			n := min(len(rest[lane]), guts.BlockSize)
			blocks[lane] = wholeBlock(rest[lane], &padded[lane])
			lengths[lane] = uint32(n)
			if rest[lane] = rest[lane][n:]; len(rest[lane]) == 0 {
				flags[lane] |= guts.FlagChunkEnd | guts.FlagRoot
			}
		}
		if !busy {
			return
		}
		compress8(&cvs, &blocks, &lengths, &flags)
		for lane := range lanes {
			flags[lane] &^= guts.FlagChunkStart
			if rest[lane] != nil && len(rest[lane]) == 0 {
				leaves[leaf[lane]] = cvs[lane]
			}
		}
	}
}

// wholeBlock returns the block that data begins with: in place, or where it is cut short padded with zeros.
func wholeBlock(data []byte, padded *[guts.BlockSize]byte) *byte {
	if len(data) >= guts.BlockSize {
		return &data[0]
	}
	clear(padded[copy(padded[:], data):])
	return &padded[0]
}

// leafQueue are the records that no lane has taken.
type leafQueue struct {
	leaves  []Hash
	records []byte
	ends    []uint32
	taken   int
	start   uint32
}

// next returns the next record and its number, and nil behind the last. Those that have no byte or more than
// one chunk it hashes itself: they are not what lanes do.
func (q *leafQueue) next() (record []byte, i int) {
	for q.taken < len(q.ends) {
		i, end := q.taken, q.ends[q.taken]
		record := q.records[q.start:end]
		q.taken, q.start = i+1, end
		if len(record) > 0 && len(record) <= guts.ChunkSize {
			return record, i
		}
		q.leaves[i] = blake3Leaf(record)
	}
	return nil, 0
}

// nodes sets row[i] to the node above pairs[2*i] and pairs[2*i+1], for each whole pair. row may begin where
// pairs does, or before.
func (k HashKind) nodes(row, pairs []Hash) {
	if k == Blake3 && haveLanes {
		n := blake3Nodes(row, pairs)
		row, pairs = row[n:], pairs[2*n:]
	}
	for i := range len(pairs) / 2 {
		row[i] = k.Node(&pairs[2*i], &pairs[2*i+1])
	}
}

var (
	nodeLengths = [lanes]uint32{64, 64, 64, 64, 64, 64, 64, 64}
	nodeFlags   = [lanes]uint32{nodeFlag, nodeFlag, nodeFlag, nodeFlag, nodeFlag, nodeFlag, nodeFlag, nodeFlag}
)

// nodeFlag is that of a message of one block.
const nodeFlag = guts.FlagDeriveKeyMaterial | guts.FlagChunkStart | guts.FlagChunkEnd | guts.FlagRoot

// blake3Nodes makes nodes side by side, and returns how many: all but those that are too few.
func blake3Nodes(row, pairs []Hash) (made int) {
	var blocks [lanes]*byte
	for len(pairs)/2-made >= fewLanes {
		n := min(len(pairs)/2-made, lanes)
		var cvs [lanes]Hash
		for lane := range lanes {
			pair := 2 * (made + min(lane, n-1))
			blocks[lane] = &pairs[pair : pair+2][0][0] // both, since they are next to each other
			cvs[lane] = nodeKeyBytes
		}
		compress8(&cvs, &blocks, &nodeLengths, &nodeFlags)
		made += copy(row[made:], cvs[:n])
	}
	return made
}
