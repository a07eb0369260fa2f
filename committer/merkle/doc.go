// Package merkle is the arithmetic of the ledger's tree. It takes leaf hashes from the
// committer, in the order of their sequence numbers, and hands back roots, tiles to store,
// proofs, and the signed texts that other regions read. It holds no storage, no clock and no
// lock: what it needs to read, it is given as functions.
//
// # Tree
//
// Entry seq is leaf seq-1 of a tree of the shape of RFC 9162 §2.1: the left subtree of a tree
// of n leaves is the largest complete one with fewer than n leaves. The hash is chosen when
// the ledger is created:
//
//	         leaf                                       node                                            empty tree
//	blake3   derive_key("ron-ledger v1 leaf", record)   derive_key("ron-ledger v1 node", left ‖ right)  BLAKE3("")
//	sha256   SHA-256(0x00 ‖ record)                     SHA-256(0x01 ‖ left ‖ right)                    SHA-256("")
//
// A record is the entry followed by its stamp (capability id, 16 bytes; key id, 8 bytes), 104
// to 2072 bytes. The root at size n depends on the first n records alone.
//
// Leaves of many records (AppendLeaves) and the nodes of a level are hashed eight at a time where the processor
// has AVX2; the hashes are the same.
//
// # Blocks and tiles
//
// A block is 256 leaves. Leaf hashes are not stored: they are computed again from the records
// when a proof asks for them. Stored are the roots of the complete blocks and what stands
// above them, as tiles. Tile (level, index), level 1, 2, 3, …, holds the nodes of tree level
// 8·level at the positions index·256 … index·256+255, left to right, 32 bytes each:
//
//	tree level 16                      n0                  tile (2,0): n0
//	                    ┌──────────────┴──────────────┐
//	tree level 8        b0      b1      …      b255      b256        tile (1,0): b0 … b255
//	                  ┌─┴─┐   ┌─┴─┐          ┌─┴─┐      ┌─┴─┐       tile (1,1): b256
//	leaves            0…255   256…511        …65535     65536…65791
//
// A tile that is not complete is stored with the nodes that it has and overwritten when it has
// more: its first nodes never change, so a longer tile serves every reader of a shorter one.
//
// # Proofs
//
// Inclusion proofs are those of RFC 9162 §2.1.3, consistency proofs those of §2.1.4. A Prover
// makes them from tiles and leaf hashes; VerifyInclusion and VerifyConsistency check them from
// nothing but their arguments.
//
// # Checkpoints and receipts
//
// A published root is a C2SP tlog-checkpoint (https://c2sp.org/tlog-checkpoint) in a signed
// note (https://c2sp.org/signed-note), Ed25519, with the origin as the name of the key:
//
//	NAME/LOGID[/blake3]\n    LOGID: 32 lower case hex digits
//	SIZE\n                   decimal, no leading zero
//	ROOT\n                   base64 of 32 bytes
//	\n
//	— NAME/LOGID[/blake3] SIGNATURE\n
//
// A receipt is a C2SP tlog-proof (https://c2sp.org/tlog-proof):
//
//	c2sp.org/tlog-proof@v1\n
//	index INDEX\n            decimal, seq-1
//	HASH\n …                 base64, from the leaf's sibling upwards, at most 63 of them
//	\n
//	checkpoint, verbatim
//
// Both parsers accept exactly what the encoders can produce: parse then marshal gives the same
// bytes.
package merkle
