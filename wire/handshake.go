package wire

import "encoding/binary"

// Version1 is the protocol version that this package speaks.
const Version1 = 1

// Limits of the messages that open a connection.
const (
	MaxTokenLength      = 4096 // bytes
	MaxClientNameLength = 64   // bytes of printable ASCII
	MaxServerNameLength = 128  // bytes of printable ASCII
	MaxHashNameLength   = 16   // bytes of printable ASCII
	MaxProfileLength    = 16   // bytes of printable ASCII
	MaxVerifyKeyLength  = 512  // bytes of printable ASCII
	MaxRights           = 64   // rights in a WELCOME
	MaxRightLength      = 4096 // bytes of printable ASCII
)

// helloMagic is what a connection starts with, behind the frame header.
const helloMagic = "RLGR"

// Hello opens a connection: the client says which versions it speaks, who it
// claims to be and what it may do.
type Hello struct {
	MinVersion, MaxVersion uint16 // inclusive; 1 or more
	Token                  []byte // empty: none
	Client                 string // a name for logs; nothing is decided from it
}

// Append appends the payload of m to dst.
func (m *Hello) Append(dst []byte) []byte {
	dst = append(dst, helloMagic...)
	dst = binary.LittleEndian.AppendUint16(dst, m.MinVersion)
	dst = binary.LittleEndian.AppendUint16(dst, m.MaxVersion)
	dst = appendLength16(dst, len(m.Token))
	dst = appendLength8(dst, len(m.Client))
	dst = append(dst, 0)
	dst = append(dst, m.Token...)
	return append(dst, m.Client...)
}

// Decode reads a payload. Token is a view of it.
func (m *Hello) Decode(payload []byte) Fault {
	c := cursor{payload: payload}
	if string(c.bytes(len(helloMagic))) != helloMagic {
		c.fail(0, "hello does not start with RLGR")
	}
	m.MinVersion, m.MaxVersion = c.u16(), c.u16()
	if m.MinVersion == 0 || m.MinVersion > m.MaxVersion {
		c.fail(c.at-4, "lowest version is 0 or above the highest one")
	}
	tokenLength, clientLength := c.length16(MaxTokenLength), c.length8(MaxClientNameLength)
	c.zero(1)
	m.Token = c.bytes(tokenLength)
	m.Client = c.text(clientLength)
	return c.end()
}

// Head is the newest durable commit as one reader sees it: Root covers the
// first Size records.
type Head struct {
	Size   uint64
	Root   [32]byte
	TimeMs int64 // when the commit was made, Unix milliseconds by the server's clock
}

func (h *Head) append(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, h.Size)
	dst = append(dst, h.Root[:]...)
	return binary.LittleEndian.AppendUint64(dst, uint64(h.TimeMs))
}

func (c *cursor) head() Head {
	return Head{Size: c.u64(), Root: c.array32(), TimeMs: int64(c.u64())}
}

// headSize is the encoded size of a Head in bytes.
const headSize = 48

// Welcome answers a Hello that is accepted.
type Welcome struct {
	Version              uint16 // chosen by the server between the client's bounds
	MaxFrame             uint32 // longest payload, compressed or raw, in bytes
	MaxInflight          uint32 // requests that may wait for an answer on this connection
	MaxEntriesPerRequest uint32
	LogID                [16]byte // made at creation, new in every epoch
	Epoch                uint64
	Head                 Head
	ServerName           string
	HashName             string   // `blake3` or `sha256`
	Profile              string   // `macronode` or `micronode`
	Rights               []string // the caveats of the token in words
	VerifyKey            string   // the verifier key of published checkpoints, in the form of golang.org/x/mod/sumdb/note
	Token                []byte   // one that the server hands its caller; else empty
}

// Append appends the payload of m to dst.
func (m *Welcome) Append(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint16(dst, m.Version)
	dst = appendLength8(dst, len(m.ServerName))
	dst = appendLength8(dst, len(m.HashName))
	dst = appendLength8(dst, len(m.Profile))
	dst = appendLength8(dst, len(m.Rights))
	dst = appendLength16(dst, len(m.VerifyKey))
	dst = appendLength16(dst, len(m.Token))
	dst = append(dst, 0, 0)
	dst = binary.LittleEndian.AppendUint32(dst, m.MaxFrame)
	dst = binary.LittleEndian.AppendUint32(dst, m.MaxInflight)
	dst = binary.LittleEndian.AppendUint32(dst, m.MaxEntriesPerRequest)
	dst = append(dst, m.LogID[:]...)
	dst = binary.LittleEndian.AppendUint64(dst, m.Epoch)
	dst = m.Head.append(dst)
	dst = append(dst, m.ServerName...)
	dst = append(dst, m.HashName...)
	dst = append(dst, m.Profile...)
	dst = append(dst, m.VerifyKey...)
	dst = append(dst, m.Token...)
	for _, right := range m.Rights {
		dst = appendLength16(dst, len(right))
		dst = append(dst, right...)
	}
	return dst
}

// Decode reads a payload. Token is a view of it.
func (m *Welcome) Decode(payload []byte) Fault {
	c := cursor{payload: payload}
	m.Version = c.u16()
	nameLength, hashLength := c.length8(MaxServerNameLength), c.length8(MaxHashNameLength)
	profileLength, rights := c.length8(MaxProfileLength), c.length8(MaxRights)
	keyLength, tokenLength := c.length16(MaxVerifyKeyLength), c.length16(MaxTokenLength)
	c.zero(2)
	m.MaxFrame, m.MaxInflight, m.MaxEntriesPerRequest = c.u32(), c.u32(), c.u32()
	m.LogID, m.Epoch, m.Head = c.array16(), c.u64(), c.head()
	m.ServerName, m.HashName, m.Profile = c.text(nameLength), c.text(hashLength), c.text(profileLength)
	m.VerifyKey, m.Token = c.text(keyLength), c.bytes(tokenLength)
	m.Rights = nil
	for range rights {
		m.Rights = append(m.Rights, c.text(c.length16(MaxRightLength)))
	}
	return c.end()
}

// Auth swaps the token of a live connection. OK answers it.
type Auth struct {
	Token []byte
}

// Append appends the payload of m to dst.
func (m *Auth) Append(dst []byte) []byte {
	dst = appendLength16(dst, len(m.Token))
	dst = append(dst, 0, 0)
	return append(dst, m.Token...)
}

// Decode reads a payload. Token is a view of it.
func (m *Auth) Decode(payload []byte) Fault {
	c := cursor{payload: payload}
	tokenLength := c.length16(MaxTokenLength)
	c.zero(2)
	m.Token = c.bytes(tokenLength)
	return c.end()
}

// OK says that an Auth took effect. Its payload is empty.
type OK struct{}

// Append appends the payload of m to dst.
func (m *OK) Append(dst []byte) []byte { return dst }

// Decode reads a payload.
func (m *OK) Decode(payload []byte) Fault {
	c := cursor{payload: payload}
	return c.end()
}
