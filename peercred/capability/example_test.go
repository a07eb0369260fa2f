package capability_test

import (
	"fmt"

	"github.com/rustyonions/ron-ledger/peercred/capability"
)

// An operator mints a token, its holder narrows it for a helper, and the sidecar
// verifies it once and asks it for every request and entry.
func Example() {
	const now = 1_900_000_000
	logID := [16]byte{1}
	ring := new(capability.Keyring)
	if err := ring.Add(capability.GenerateKey(now)); err != nil {
		fmt.Println(err)
		return
	}
	key, err := ring.Minting()
	if err != nil {
		fmt.Println(err)
		return
	}
	kinds, _ := capability.ParseCaveat("kind = Mint,Transfer")
	token, err := capability.Mint(key, capability.CaveatLog(logID), kinds)
	if err != nil {
		fmt.Println(err)
		return
	}
	small, _ := capability.ParseCaveat("amount <= 100")
	token, err = token.Narrow(small)
	if err != nil {
		fmt.Println(err)
		return
	}

	rights, err := capability.Verify(token, ring, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(rights.Session(1000, 1000, nil, logID, now))
	fmt.Println(rights.May(capability.OpAppend))
	fmt.Println(rights.Entry(3, []byte("acct_a"), []byte("acct_b"), [8]byte{}, 0, 100))
	fmt.Println(rights.Entry(3, []byte("acct_a"), []byte("acct_b"), [8]byte{}, 0, 101))
	fmt.Println(rights.Entry(5, []byte("acct_a"), nil, [8]byte{}, 0, 1).Err())
	// Output:
	// granted
	// true
	// granted
	// amount
	// check caveats: the token does not allow this kind of entry (kind)
}
