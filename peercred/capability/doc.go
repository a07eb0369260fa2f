// Package capability says what a caller may do. It takes the token bytes and the
// credentials that the session has, and hands back [Rights]: the token's caveats,
// verified once and compiled, to be asked before every request and every entry.
//
//	token bytes ─▶ Verify(keyring, revocations) ─▶ Rights ─▶ Session, May, Entry
//
// # Token
//
// A token is a macaroon (gopkg.in/macaroon.v2) in its binary V2 form, at most 4096
// bytes, with no location, at most 32 first-party caveats and nothing else. Bytes
// that are not exactly what the encoder makes of their content are refused. As
// text it is "rl1_" and the bytes in base64url without padding. All integers are
// little-endian.
//
// The root MAC is HMAC-SHA256 over the identifier, under a key derived from the
// secret that the KID names; each caveat replaces the MAC by HMAC-SHA256 over the
// caveat under the MAC before. So whoever holds a token can append a caveat, and
// nobody can take one away, change one or change their order.
//
// # Identifier
//
//	 0        1                9                              25       27
//	┌─────────┬────────────────┬──────────────────────────────┬────────┐
//	│version=1│ KID            │ capability id, random        │ grants │
//	└─────────┴────────────────┴──────────────────────────────┴────────┘
//
//	grants: bit 0 op admin, 1 kind Mint, 2 kind Burn, 3 kind Reverse,
//	        4 governance reverse; the other bits are zero
//
// # Caveats
//
//	 0      1         3
//	┌──────┬─────────┬──────────────────┐
//	│ type │ length  │ value            │
//	└──────┴─────────┴──────────────────┘
//
//	type  words                          value
//	 1    log = 32 hex digits            16 bytes
//	 2    op = append,read,admin         u8, bits 0, 1, 2
//	 3    kind = Transfer,Hold           u16, bit n for kind n
//	 4    account = acct_a,branch:7:*    for each: u8 length, pattern
//	 5    asset = EUR,USD,none           8 bytes each; none, all zero, is the unnamed unit
//	 6    amount <= 1000                 u128
//	 7    uid = 1000,1001                u32 each
//	 8    gid = 100                      u32 each
//	 9    expires = 2030-01-02T03:04:05Z i64, Unix seconds, years 1970 to 9999
//	10    not-before = …                 the same
//	11    governance = reverse           u8 = 1
//
// Lists are not empty, ascend strictly and hold at most 64 elements, so that a
// caveat has one encoding. The length is that of the value, exactly. An unknown type
// and a malformed value fail closed: the whole token is refused.
//
// All caveats must hold, several of one type too: their intersection counts.
//
//   - log: the ledger's log id. [Mint] asks for one, so that a token ends with its epoch.
//   - op: without it append and read. kind: without it every kind but Mint, Burn, Reverse.
//   - account: every account that the entry names matches one of the patterns, as a whole
//     name or, before a *, as the beginning of one. A reversal moves money of accounts
//     that its entry does not name, so under an account caveat other than * there is none.
//   - uid, gid: the kernel's word for the peer, SO_PEERCRED; for gid also its
//     supplementary groups. The overflow id 65534 never matches.
//   - expires: the first second in which the token is not valid. not-before: the first
//     in which it is.
//   - governance: a reversal needs it, beside kind = Reverse.
//
// # Why narrowing never widens
//
// Admin, Mint, Burn, Reverse and governance are granted by name. A caveat could not
// grant them: whoever holds a token could append it. So the grants are in the
// identifier, which only who has the root key can make, and [Mint] takes them from
// the caveats that it is given. The identifier states the widest rights of a token;
// a caveat of any type only intersects them. A holder who appends kind = Mint to a
// token without that grant is left with no kind at all; a governance caveat without
// its grant is refused.
//
// # Secrets
//
// Root keys and MACs appear in no error and in no formatting of any value here; the
// only ways to them are [Keyring.Marshal], [Token.Bytes] and [Token.Text]. MACs are
// compared in constant time.
package capability
