package sidecar

import (
	"cmp"
	"regexp"
)

// wrongType is how the decoder of TOML says that a value is not of the type of its key. What the types are called is
// no concern of who writes the file.
var wrongType = regexp.MustCompile(`cannot decode TOML ([a-z ]+) into (?:struct field \S+ of type )?(\S+)`)

// wanted says what a type is in a file; any other is a section.
var wanted = map[string]string{
	"int": "a whole number", "uint32": "a whole number", "[]uint32": "a list of whole numbers, such as [1000, 1001]", "string": "text in quotes",
	"sidecar.Size": "a size, such as \"64MiB\"", "sidecar.Duration": "a duration, such as \"250ms\"", "sidecar.FileMode": "permissions in octal, such as \"0660\"",
}

// withoutTypes says it in the words of the file.
func withoutTypes(message string) string {
	return wrongType.ReplaceAllStringFunc(message, func(text string) string {
		m := wrongType.FindStringSubmatch(text)
		return "wanted is " + cmp.Or(wanted[m[2]], "a section") + ", and not what TOML calls " + m[1]
	})
}
