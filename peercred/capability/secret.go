package capability

// secret holds bytes that no formatting may show. It is a function because that is
// the one kind of value that fmt and encoders cannot look into: they follow pointers,
// print unexported fields, and do not ask the methods of unexported fields. Calling it
// returns the bytes themselves, not a copy. Nil = none.
type secret func() []byte

func hide(bytes []byte) secret { return func() []byte { return bytes } }
