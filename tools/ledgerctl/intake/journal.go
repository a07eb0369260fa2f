package intake

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rustyonions/ron-ledger/wire"
)

// Journal reads the simple transactions of hledger and beancount journals: a date, a
// description, and two postings of one amount in one commodity, of which the second may leave its amount out.
//
//	2026-01-31 * rent                        2026-01-31 * "landlord" "rent"
//	    assets:bank        -700.00 EUR          Assets:Bank       -700.00 EUR
//	    expenses:rent       700.00 EUR          Expenses:Rent      700.00 EUR
//
// The account with the negative amount pays: the entry is a Transfer from it, with the
// description as memo and midnight UTC as time. What comes from an account below one of
// Outside is minted, what goes to one is burned. Blanks in names become _. Comments, and
// directives that only declare, are passed over; everything else is an error.
type Journal struct {
	next    Lines
	scale   int
	outside []string
	held    []byte // a line that belongs to what follows
	isHeld  bool
	number  int // of the line that was read last
	began   int // number of the line at which what is being read begins
	identity
}

// NewJournal returns a reader of what next returns. Amounts have up to scale digits behind the point.
func NewJournal(next Lines, scale int, outside []string) *Journal {
	return &Journal{next: next, scale: scale, outside: outside}
}

var (
	transactionLine = regexp.MustCompile(`^(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?:=\S+)?(?:\s+(?:[*!]|txn))?(?:\s+\([^)]*\))?(?:\s+(.*))?$`)
	declaring       = regexp.MustCompile(`^(account|commodity|option|payee|tag|D|P|decimal-mark)\s|^\d{4}-\d\d-\d\d\s+(open|close|commodity|price|note)\s`)
	postingLine     = regexp.MustCompile(`^(?:[*!]\s+)?(\S+(?: \S+)*?)(?:\s{2,}|\t+)(\S.*)$`)
	narrowPosting   = regexp.MustCompile(`^(\S+) +([-+0-9].*)$`) // beancount wants one blank alone
	amountText      = regexp.MustCompile(`^([-+]?)\s*([^-+0-9\s]*)\s*([-+]?)([0-9.,]+)\s*([^-+0-9\s]*)$`)
)

// posting is one side of a transaction.
type posting struct {
	account  string
	given    bool
	negative bool
	amount   wire.Amount
	asset    wire.Asset
}

func (j *Journal) line() ([]byte, error) {
	j.number++
	if j.isHeld {
		j.isHeld = false
		return j.held, nil
	}
	return j.next()
}

// Line is the number of the line at which the last entry, or what is wrong, begins: the first of a transaction.
func (j *Journal) Line() int { return j.began }

// Next reads the next entry, or io.EOF.
func (j *Journal) Next(f *wire.Fields) error {
	for {
		line, err := j.line()
		if err != nil {
			return err
		}
		j.began = j.number
		text := strings.TrimRight(string(line), " \t\r")
		switch {
		case text == "" || strings.ContainsRune(";#*%|", rune(text[0])) || declaring.MatchString(text):
		case transactionLine.MatchString(text):
			return j.transaction(transactionLine.FindStringSubmatch(text), f)
		case text == "comment":
			err = j.passComment()
		default:
			return fmt.Errorf("%q is no transaction that can be read: a date, a description and two postings are wanted", text)
		}
		if err != nil {
			return err
		}
	}
}

func (j *Journal) passComment() error {
	for {
		line, err := j.line()
		if err != nil || strings.TrimSpace(string(line)) == "end comment" {
			return err
		}
	}
}

func (j *Journal) transaction(head []string, f *wire.Fields) error {
	at, err := time.Parse("2006-1-2", head[1]+"-"+head[2]+"-"+head[3])
	if err != nil {
		return fmt.Errorf("read the date: %w", err)
	}
	postings, err := j.postings()
	if err != nil {
		return err
	}
	if len(postings) != 2 {
		return fmt.Errorf("%d postings: a transaction of two accounts is wanted; split it, or write it as JSON Lines", len(postings))
	}
	from, to, err := sides(postings)
	if err != nil {
		return err
	}
	*f = wire.Fields{
		Kind: wire.KindTransfer, Account: from.account, Counterparty: to.account, Amount: to.amount, Asset: to.asset,
		Timestamp: at.UnixMilli(), Memo: []byte(description(head[4])),
	}
	switch minted, burned := j.isOutside(from.account), j.isOutside(to.account); {
	case minted && burned:
		return fmt.Errorf("both %s and %s are outside of the ledger", from.account, to.account)
	case minted:
		f.Kind, f.Account, f.Counterparty = wire.KindMint, to.account, ""
	case burned:
		f.Kind, f.Counterparty = wire.KindBurn, ""
	}
	f.Nonce, err = j.nonce(f)
	return err
}

// postings reads the lines that are indented, and keeps the one behind them.
func (j *Journal) postings() (list []posting, err error) {
	for {
		line, err := j.line()
		if errors.Is(err, io.EOF) {
			return list, nil
		}
		if err != nil {
			return nil, err
		}
		text := string(line)
		if trimmed := strings.TrimSpace(text); trimmed == "" || text[0] != ' ' && text[0] != '\t' {
			j.held, j.isHeld = []byte(text), true
			j.number--
			return list, nil
		}
		if text, _, _ = strings.Cut(text, ";"); strings.TrimSpace(text) == "" {
			continue
		}
		p, err := j.posting(strings.TrimSpace(text))
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
}

func (j *Journal) posting(text string) (p posting, err error) {
	m := postingLine.FindStringSubmatch(text)
	if m == nil {
		m = narrowPosting.FindStringSubmatch(text)
	}
	if m == nil {
		return posting{account: strings.ReplaceAll(text, " ", "_")}, nil
	}
	p = posting{account: strings.ReplaceAll(m[1], " ", "_"), given: true}
	parts := amountText.FindStringSubmatch(m[2])
	if parts == nil {
		return p, fmt.Errorf("%q is no simple amount: a number and a commodity are wanted, without prices, assertions or separators", m[2])
	}
	p.negative = (parts[1] == "-") != (parts[3] == "-")
	if p.amount, err = Decimal(parts[4], j.scale); err != nil {
		return p, fmt.Errorf("%w; say --scale", err)
	}
	commodity := strings.Trim(parts[2]+parts[5], `"`)
	var ok bool
	if p.asset, ok = wire.ParseAsset(commodity); !ok || parts[2] != "" && parts[5] != "" {
		return p, fmt.Errorf("commodity %q: a ledger names assets with at most 8 of A-Z 0-9 . -", commodity)
	}
	return p, nil
}

// sides tells who pays.
func sides(list []posting) (from, to posting, err error) {
	a, b := list[0], list[1]
	switch {
	case !a.given && !b.given:
		return a, b, errors.New("neither posting has an amount")
	case !a.given:
		a.amount, a.asset, a.negative = b.amount, b.asset, !b.negative
	case !b.given:
		b.amount, b.asset, b.negative = a.amount, a.asset, !a.negative
	}
	if a.amount != b.amount || a.asset != b.asset || a.negative == b.negative {
		return a, b, errors.New("the postings do not balance in one commodity")
	}
	if a.negative {
		return a, b, nil
	}
	return b, a, nil
}

func (j *Journal) isOutside(account string) bool {
	return slices.ContainsFunc(j.outside, func(above string) bool {
		return account == above || strings.HasPrefix(account, above+":")
	})
}

var quoted = regexp.MustCompile(`"([^"]*)"`)

// description is what follows the date: without its comment, and payee and narration of beancount as one.
func description(text string) string {
	text, _, _ = strings.Cut(text, ";")
	text = strings.TrimSpace(text)
	if m := quoted.FindAllStringSubmatch(text, -1); m != nil && strings.HasPrefix(text, `"`) {
		var parts []string
		for _, part := range m {
			if part[1] != "" {
				parts = append(parts, part[1])
			}
		}
		return strings.Join(parts, " | ")
	}
	return text
}
