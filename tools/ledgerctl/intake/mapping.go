package intake

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"github.com/rustyonions/ron-ledger/wire"
)

// Mapping says how a row of a CSV file becomes an entry. Texts are templates: {NAME} in them
// stands for the column NAME of the header. The first rule of which all of When hold makes the entry.
//
// configs/import-bank.toml is an example with every key.
type Mapping struct {
	Separator string   `toml:"separator"` // one character; default ,
	Scale     int      `toml:"scale"`     // digits behind the point of amounts
	Amount    string   `toml:"amount"`    // template; a decimal without a sign
	Asset     string   `toml:"asset"`     // template; default the unnamed unit
	Memo      []string `toml:"memo"`      // templates; the first that is not empty
	Time      struct {
		Text   string `toml:"text"`   // template
		Layout string `toml:"layout"` // of YYYY YY MM DD hh mm ss, or "unix-ms"; the time is UTC
	} `toml:"time"`
	Nonce struct {
		Text   string `toml:"text"`   // template of a nonce: a UUID, 32 hex digits or base64
		Number string `toml:"number"` // template of a number below 2^48, made a UUIDv7 with the time
	} `toml:"nonce"`
	Rules []Rule `toml:"rule"`

	layout string // Go's form of Time.Layout
}

// Rule makes entries of the rows that have the values of When in their columns.
type Rule struct {
	When         map[string]string `toml:"when"`
	Kind         string            `toml:"kind"`
	Account      string            `toml:"account"`
	Counterparty string            `toml:"counterparty"`
	Skip         bool              `toml:"skip"` // such a row is no entry

	kind wire.Kind
}

// layoutWords are in the order in which they are replaced: the longer before the shorter.
var layoutWords = strings.NewReplacer("YYYY", "2006", "YY", "06", "MM", "01", "DD", "02", "hh", "15", "mm", "04", "ss", "05")

const unixMilliseconds = "unix-ms"

// ParseMapping reads a mapping, as TOML. What it does not know is an error.
func ParseMapping(text []byte) (*Mapping, error) {
	m := &Mapping{Separator: ","}
	decoder := toml.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(m); err != nil {
		return nil, fmt.Errorf("read the mapping: %w", err)
	}
	m.layout = layoutWords.Replace(m.Time.Layout)
	switch {
	case len(m.Separator) != 1:
		return nil, fmt.Errorf("read the mapping: separator %q: one character is wanted", m.Separator)
	case m.Scale < 0 || m.Scale > ScaleMax:
		return nil, fmt.Errorf("read the mapping: scale %d: 0 to %d are wanted", m.Scale, ScaleMax)
	case m.Amount == "" || m.Time.Text == "" || m.Time.Layout == "":
		return nil, fmt.Errorf("read the mapping: amount, time.text and time.layout are wanted")
	case m.Nonce.Text != "" && m.Nonce.Number != "":
		return nil, fmt.Errorf("read the mapping: nonce has either text or number")
	case len(m.Rules) == 0:
		return nil, fmt.Errorf("read the mapping: at least one [[rule]] is wanted")
	}
	for i := range m.Rules {
		r := &m.Rules[i]
		var ok bool
		if r.kind, ok = wire.ParseKind(r.Kind); !ok && !r.Skip {
			return nil, fmt.Errorf("read the mapping: rule %d: %q is no kind of entry", i+1, r.Kind)
		}
		if r.kind.HasRef() {
			return nil, fmt.Errorf("read the mapping: rule %d: %s names another entry, which a row cannot", i+1, r.Kind)
		}
	}
	return m, nil
}

// templates returns all texts with columns in them.
func (m *Mapping) templates() (all []string) {
	all = append(all, m.Amount, m.Asset, m.Time.Text, m.Nonce.Text, m.Nonce.Number)
	all = append(all, m.Memo...)
	for _, r := range m.Rules {
		all = append(all, r.Account, r.Counterparty)
		for column := range r.When {
			all = append(all, "{"+column+"}")
		}
	}
	return all
}

var columnInTemplate = regexp.MustCompile(`\{([^{}]*)\}`)

// time reads Unix milliseconds.
func (m *Mapping) time(text string) (int64, error) {
	if m.Time.Layout == unixMilliseconds {
		var ms int64
		if _, err := fmt.Sscanf(text, "%d", &ms); err != nil || fmt.Sprint(ms) != text {
			return 0, fmt.Errorf("%q are no Unix milliseconds", text)
		}
		return ms, nil
	}
	at, err := time.Parse(m.layout, text)
	if err != nil {
		return 0, fmt.Errorf("%q is no time of the form %s", text, m.Time.Layout)
	}
	return at.UnixMilli(), nil
}
