package stream

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/rustyonions/ron-ledger/store"
	"github.com/rustyonions/ron-ledger/wire"
)

// message is one that is to be published.
type message struct {
	id   string
	body []byte
	next uint64 // sequence number behind the last entry that it is about
}

func messageID(log [16]byte, seq uint64) string {
	return hex.EncodeToString(log[:]) + "-" + strconv.FormatUint(seq, 10)
}

// appendHead appends what every message of a commit begins with, without the last brace.
func appendHead(b []byte, log [16]byte, seq uint64, c *store.Commit) []byte {
	b = hex.AppendEncode(append(b, `{"log":"`...), log[:])
	b = strconv.AppendUint(append(b, `","seq":`...), seq, 10)
	b = strconv.AppendUint(append(b, `,"size":`...), c.Last(), 10)
	b = hex.AppendEncode(append(b, `,"root":"`...), c.Root[:])
	return strconv.AppendInt(append(b, `","ts":`...), c.TimeMs, 10)
}

// headOf makes the message of a commit without entries.
func headOf(log [16]byte, seq uint64, c *store.Commit) message {
	return message{id: messageID(log, seq), body: append(appendHead(nil, log, seq, c), '}'), next: c.Last() + 1}
}

// withEntries makes the message of the entries of a commit from seq on, as many as fit in bytesMax. One
// always fits, since that is at least payloadMin.
func withEntries(log [16]byte, seq uint64, c *store.Commit, bytesMax int) (message, error) {
	m := message{id: messageID(log, seq), next: seq}
	m.body = append(appendHead(nil, log, seq, c), `,"entries":[`...)
	for ; m.next <= c.Last(); m.next++ {
		i := int(m.next - c.First)
		start := uint32(0)
		if i > 0 {
			start = c.Ends[i-1]
		}
		record, fault := wire.NextRecord(c.Records[start:c.Ends[i]])
		if !fault.OK() {
			return message{}, fmt.Errorf("read the record of entry %d: %w", m.next, fault)
		}
		before := len(m.body)
		if m.next > seq {
			m.body = append(m.body, ',')
		}
		fields := record.Entry().Fields()
		m.body = wire.AppendJSON(m.body, &fields, wire.Recorded{Seq: m.next, TimeMs: c.TimeMs, Stamp: record.Stamp()})
		if len(m.body)+len("]}") > bytesMax && m.next > seq {
			m.body = m.body[:before]
			break
		}
	}
	m.body = append(m.body, "]}"...)
	return m, nil
}

// Position is how far the messages on a subject have come.
type Position struct {
	Log  [16]byte
	Next uint64 // sequence number that is to be told next
	Size uint64 // of the tree of the last message
	Root [32]byte
}

// parsePosition reads the last message of a subject.
func parsePosition(body []byte) (p Position, err error) {
	var m struct {
		Log     string             `json:"log"`
		Seq     uint64             `json:"seq"`
		Size    uint64             `json:"size"`
		Root    string             `json:"root"`
		TS      int64              `json:"ts"`
		Entries *[]json.RawMessage `json:"entries"`
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&m); err != nil {
		return p, fmt.Errorf("the last message is not of a ledger: %w", err)
	}
	log, err1 := hex.DecodeString(m.Log)
	root, err2 := hex.DecodeString(m.Root)
	if err1 != nil || err2 != nil || len(log) != len(p.Log) || len(root) != len(p.Root) || m.Seq == 0 || m.Seq > m.Size {
		return p, errors.New("the last message is not of a ledger: log, seq, size or root is not one")
	}
	p = Position{Log: [16]byte(log), Next: m.Size + 1, Size: m.Size, Root: [32]byte(root)}
	if m.Entries != nil {
		p.Next = m.Seq + uint64(len(*m.Entries))
	}
	if p.Next > m.Size+1 || p.Next == m.Seq {
		return p, fmt.Errorf("the last message is not of a ledger: it has %d entries from %d on, under size %d", p.Next-m.Seq, m.Seq, m.Size)
	}
	return p, nil
}
