package capability

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
)

// overflowID is the uid and gid that stand for nobody; see package peercred.
const overflowID = 65534

// Rights are the caveats of a verified token, compiled. They never change, are safe
// for concurrent use, and checking them allocates nothing.
//
// Invariant: every set here is contained in the one that the identifier alone gives,
// and each caveat only intersected one of them.
type Rights struct {
	id  ID
	kid KID

	ops        Op
	kinds      uint16 // bit n for kind n
	governance bool

	accounts [][]pattern // for each caveat its patterns: one of them must match
	assets   limit[uint64]
	amountHi uint64
	amountLo uint64

	logs      limit[ID]
	uids      limit[uint32]
	gids      [][]uint32 // for each caveat its groups: the peer may be in several
	notBefore int64
	expires   int64 // MaxInt64 = never
}

// limit is a set that is everything until something limits it.
type limit[T comparable] struct {
	limited bool
	members []T
}

func (l *limit[T]) intersect(members []T) {
	if l.limited {
		members = slices.DeleteFunc(members, func(m T) bool { return !slices.Contains(l.members, m) })
	}
	l.limited, l.members = true, members
}

func (l *limit[T]) allows(m T) bool { return !l.limited || slices.Contains(l.members, m) }

// pattern is an account name, or the beginning of one.
type pattern struct {
	name     string
	isPrefix bool
}

func (p pattern) matches(account []byte) bool {
	if p.isPrefix {
		return len(account) >= len(p.name) && string(account[:len(p.name)]) == p.name
	}
	return string(account) == p.name
}

// compile starts from what the identifier grants and intersects each caveat.
func compile(n ident, caveats []Caveat) *Rights {
	r := &Rights{
		id: n.id, kid: n.kid,
		ops: opsDefault, kinds: kindsDefault, governance: n.grants&grantGovernance != 0,
		amountHi: math.MaxUint64, amountLo: math.MaxUint64,
		notBefore: math.MinInt64, expires: math.MaxInt64,
	}
	if n.grants&grantAdmin != 0 {
		r.ops |= OpAdmin
	}
	for kind, grant := range kindGrants {
		if n.grants&grant != 0 {
			r.kinds |= 1 << kind
		}
	}
	for _, c := range caveats {
		r.intersect(c)
	}
	return r
}

func (r *Rights) intersect(c Caveat) {
	switch c.typ {
	case TypeLog:
		r.logs.intersect([]ID{c.log()})
	case TypeOp:
		r.ops &= c.ops()
	case TypeKind:
		r.kinds &= c.kinds()
	case TypeAccount:
		r.accounts = append(r.accounts, compilePatterns(c.patterns()))
	case TypeAsset:
		r.assets.intersect(assetNumbers(c.assets()))
	case TypeAmount:
		if hi, lo := c.amount(); above(r.amountHi, r.amountLo, hi, lo) {
			r.amountHi, r.amountLo = hi, lo
		}
	case TypeUID:
		r.uids.intersect(c.ids())
	case TypeGID:
		r.gids = append(r.gids, c.ids())
	case TypeExpires:
		r.expires = min(r.expires, c.unix())
	case TypeNotBefore:
		r.notBefore = max(r.notBefore, c.unix())
	case TypeGovernance:
		// Its grant is in the identifier, and it forbids nothing.
	default:
		// No caveat of another type leaves the decoder; should one, nothing is allowed.
		r.ops, r.kinds = 0, 0
	}
}

func compilePatterns(words []string) []pattern {
	patterns := make([]pattern, len(words))
	for i, word := range words {
		patterns[i].name, patterns[i].isPrefix = strings.CutSuffix(word, "*")
	}
	return patterns
}

func assetNumbers(assets [][8]byte) []uint64 {
	numbers := make([]uint64, len(assets))
	for i, asset := range assets {
		numbers[i] = binary.LittleEndian.Uint64(asset[:])
	}
	return numbers
}

// above reports whether the first 128-bit number is greater than the second.
func above(hi, lo, hi2, lo2 uint64) bool { return hi > hi2 || hi == hi2 && lo > lo2 }

// Session checks what belongs to the peer, the log and the time: the caveats log, uid,
// gid, not-before and expires, in this order. It MUST be asked before every request,
// for a connection can outlive its token. The uid, gid and groups are the kernel's;
// nowUnix is the server's time in seconds.
func (r *Rights) Session(uid, gid uint32, groups []uint32, logID [16]byte, nowUnix int64) Denial {
	switch {
	case !r.logs.limited || !r.logs.allows(logID):
		return DeniedLog
	case uid == overflowID || !r.uids.allows(uid):
		return DeniedUID
	case !r.inGroups(gid, groups):
		return DeniedGID
	case nowUnix < r.notBefore:
		return DeniedNotBefore
	case nowUnix >= r.expires:
		return DeniedExpires
	}
	return Granted
}

func (r *Rights) inGroups(gid uint32, groups []uint32) bool {
	for _, caveat := range r.gids {
		if !inGroup(caveat, gid, groups) {
			return false
		}
	}
	return true
}

func inGroup(caveat []uint32, gid uint32, groups []uint32) bool {
	for _, allowed := range caveat {
		if allowed != overflowID && (allowed == gid || slices.Contains(groups, allowed)) {
			return true
		}
	}
	return false
}

// May reports whether every operation in op is allowed. No operation is not.
func (r *Rights) May(op Op) bool { return op != 0 && r.ops&op == op }

// Entry checks one entry against the caveats kind, governance, account, asset and
// amount, in this order. The counterparty is empty where the kind has none. An entry
// needs [Rights.May] with OpAppend besides.
func (r *Rights) Entry(kind uint8, account, counterparty []byte, asset [8]byte, amountHi, amountLo uint64) Denial {
	switch {
	case kind > kindMax || r.kinds&(1<<kind) == 0:
		return DeniedKind
	case kind == kindReverse && !r.governance:
		return DeniedGovernance
	case len(r.accounts) > 0 && !r.mayTouch(kind, account, counterparty):
		return DeniedAccount
	case !r.assets.allows(binary.LittleEndian.Uint64(asset[:])):
		return DeniedAsset
	case above(amountHi, amountLo, r.amountHi, r.amountLo):
		return DeniedAmount
	}
	return Granted
}

func (r *Rights) mayTouch(kind uint8, account, counterparty []byte) bool {
	for _, patterns := range r.accounts {
		// The entry that is reversed may have touched accounts that the reversal does
		// not name. Only a pattern that matches everything matches those.
		if kind == kindReverse && !slices.Contains(patterns, pattern{isPrefix: true}) {
			return false
		}
		if !matchesOne(patterns, account) || len(counterparty) > 0 && !matchesOne(patterns, counterparty) {
			return false
		}
	}
	return true
}

func matchesOne(patterns []pattern, account []byte) bool {
	for _, p := range patterns {
		if p.matches(account) {
			return true
		}
	}
	return false
}

// Stamp is what the log keeps beside each entry that these rights allowed.
func (r *Rights) Stamp() (capabilityID [16]byte, kid [8]byte) { return r.id, r.kid }

// ExpiresUnix is when the rights end, in Unix seconds, and whether they ever do.
func (r *Rights) ExpiresUnix() (unix int64, ends bool) { return r.expires, r.expires != math.MaxInt64 }

// Revoked reports whether the capability or its key has been revoked since.
func (r *Rights) Revoked(revoked *Revocations) bool { return revoked.Revoked(r.id, r.kid) }

// Words gives the rights in the words of caveats, each line one: what is allowed in
// the end, not what the token's caveats say one by one. An empty set is "nothing".
func (r *Rights) Words() []string {
	words := []string{"op = " + orNothing(r.ops.String()), "kind = " + orNothing(bitWords(r.kinds, kindNames[:]))}
	if r.governance {
		words = append(words, CaveatGovernance().String())
	}
	for _, patterns := range r.accounts {
		words = append(words, "account = "+listWords(patterns, patternWord))
	}
	if r.assets.limited {
		words = append(words, "asset = "+orNothing(listWords(r.assets.members, assetNumberWord)))
	}
	if r.amountHi != math.MaxUint64 || r.amountLo != math.MaxUint64 {
		words = append(words, "amount <= "+amountWord(r.amountHi, r.amountLo))
	}
	if r.uids.limited {
		words = append(words, "uid = "+orNothing(listWords(r.uids.members, idWord)))
	}
	for _, gids := range r.gids {
		words = append(words, "gid = "+listWords(gids, idWord))
	}
	if r.logs.limited {
		words = append(words, "log = "+orNothing(listWords(r.logs.members, ID.String)))
	}
	if r.notBefore != math.MinInt64 {
		words = append(words, "not-before = "+timeWord(r.notBefore))
	}
	if r.expires != math.MaxInt64 {
		words = append(words, "expires = "+timeWord(r.expires))
	}
	return words
}

func orNothing(words string) string {
	if words == "" {
		return "nothing"
	}
	return words
}

func patternWord(p pattern) string {
	if p.isPrefix {
		return p.name + "*"
	}
	return p.name
}

func assetNumberWord(number uint64) string {
	return assetWord([8]byte(binary.LittleEndian.AppendUint64(nil, number)))
}
