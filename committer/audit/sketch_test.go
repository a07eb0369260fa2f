package audit

import (
	"errors"
	"fmt"
	"iter"
	"reflect"
	"testing"

	"github.com/rustyonions/ron-ledger/committer/merkle"
	"github.com/rustyonions/ron-ledger/store"
	"github.com/rustyonions/ron-ledger/wire"
)

// sketched is a sound ledger in a store, with a checkpoint of all of it.
type sketched struct {
	store *store.Store
	kind  merkle.HashKind
	mark  store.Mark
	rows  []any
}

func newSketched(t *testing.T, kind merkle.HashKind, log []request) *sketched {
	t.Helper()
	l := &sketched{store: open(t, kind, log), kind: kind}
	t.Cleanup(func() { _ = l.store.Close() })
	if err := l.store.Checkpoint(derived(t, l.store, log)); err != nil {
		t.Fatal(err)
	}
	frozen, err := l.store.FreezeState(func(int) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	l.mark = frozen.Mark()
	for row, err := range frozen.Rows() {
		if err != nil {
			t.Fatal(err)
		}
		l.rows = append(l.rows, cloned(row))
	}
	if err := frozen.Close(); err != nil {
		t.Fatal(err)
	}
	return l
}

// cloned copies a row with its slices.
func cloned(row any) any {
	c := reflect.New(reflect.TypeOf(row).Elem())
	c.Elem().Set(reflect.ValueOf(row).Elem())
	for i := range c.Elem().NumField() {
		if f := c.Elem().Field(i); f.Kind() == reflect.Slice {
			f.SetBytes(append([]byte(nil), f.Bytes()...))
		}
	}
	return c.Interface()
}

func listed(rows []any) iter.Seq2[any, error] {
	return func(yield func(any, error) bool) {
		for _, row := range rows {
			if !yield(row, nil) {
				return
			}
		}
	}
}

// compare counts the log from a record on and holds rows against it.
func (l *sketched) compare(t *testing.T, from uint64, mark *store.Mark, rows []any) error {
	t.Helper()
	frontier := merkle.NewFrontier(l.kind)
	k := NewSketch(from, merkle.NewTiles(l.kind), func(account []byte, nonce wire.Nonce) (uint64, []byte, error) {
		number, _, err1 := l.store.LookupAccount(account)
		seq, _, err2 := l.store.LookupIdentity(store.Identity{Nonce: nonce, Account: number})
		record, err3 := l.store.Record(seq, nil)
		return seq, record, errors.Join(err1, err2, err3)
	})
	for c, err := range l.store.Commits(1) {
		if err != nil {
			t.Fatal(err)
		}
		var leaves []merkle.Hash
		start := uint32(0)
		for _, end := range c.Ends {
			leaves = append(leaves, l.kind.Leaf(c.Records[start:end]))
			start = end
		}
		blocks := frontier.AppendBlocks(nil, leaves)
		if c.First < from {
			continue
		}
		if err := k.Commit(c, blocks); err != nil {
			t.Fatal(err)
		}
	}
	read, err := k.Compare(mark, &frontier, listed(rows))
	if err == nil && read != uint64(len(rows)) {
		t.Errorf("%d of %d rows were read", read, len(rows))
	}
	return err
}

// mustDiffer wants a Finding.
func (l *sketched) mustDiffer(t *testing.T, what string, mark *store.Mark, rows []any) {
	t.Helper()
	if finding := new(Finding); !errors.As(l.compare(t, 1, mark, rows), &finding) {
		t.Errorf("%v: %s is not noticed", l.kind, what)
	}
}

// flips calls do with each bit of each number and string of a row changed, one at a time.
func flips(row any, do func(field string, bit int)) {
	var walk func(name string, v reflect.Value)
	walk = func(name string, v reflect.Value) {
		switch v.Kind() {
		case reflect.Struct:
			for i := range v.NumField() {
				walk(v.Type().Field(i).Name, v.Field(i))
			}
		case reflect.Array, reflect.Slice:
			for i := range v.Len() {
				walk(fmt.Sprint(name, " byte ", i), v.Index(i))
			}
		case reflect.Int64:
			for bit := range 64 {
				v.SetInt(v.Int() ^ 1<<bit)
				do(name, bit)
				v.SetInt(v.Int() ^ 1<<bit)
			}
		default:
			for bit := range v.Type().Bits() {
				v.SetUint(v.Uint() ^ 1<<bit)
				do(name, bit)
				v.SetUint(v.Uint() ^ 1<<bit)
			}
		}
	}
	walk("", reflect.ValueOf(row).Elem())
}

// isNothing reports whether a row says no more than none would.
func isNothing(row any) bool {
	b, is := row.(*store.BalanceRow)
	return is && b.Available == [16]byte{} && b.Held == [16]byte{}
}

// TestEveryBitOfEveryRow changes each bit of each row of a small ledger's state, and of its mark, leaves each row out
// and puts each in twice.
func TestEveryBitOfEveryRow(t *testing.T) {
	for _, kind := range kinds {
		l := newSketched(t, kind, sound(t, kind))
		if err := l.compare(t, 1, &l.mark, l.rows); err != nil {
			t.Fatalf("%v: undamaged: %v", kind, err)
		}
		bits, kinds := 0, map[string]int{}
		for i, row := range l.rows {
			if isNothing(row) {
				continue
			}
			name := reflect.TypeOf(row).Elem().Name()
			kinds[name]++
			flips(row, func(field string, bit int) {
				bits++
				l.mustDiffer(t, fmt.Sprintf("%s %d: bit %d of %s", name, i, bit, field), &l.mark, l.rows)
			})
			l.mustDiffer(t, fmt.Sprintf("%s %d is missing and", name, i), &l.mark, append(append([]any(nil), l.rows[:i]...), l.rows[i+1:]...))
			l.mustDiffer(t, fmt.Sprintf("%s %d is there twice and", name, i), &l.mark, append(append([]any(nil), l.rows...), row))
		}
		for _, damage := range []func(m *store.Mark){
			func(m *store.Mark) { m.Root[3] ^= 1 }, func(m *store.Mark) { m.Frontier[0][3] ^= 1 }, func(m *store.Mark) { m.NextAccount++ },
			func(m *store.Mark) { m.NextAccount = 0 }, func(m *store.Mark) { m.NextAccount = 1 << 60 },
		} {
			mark := l.mark
			mark.Frontier = append([][32]byte(nil), mark.Frontier...)
			damage(&mark)
			l.mustDiffer(t, fmt.Sprintf("the mark %+v", mark), &mark, l.rows)
		}
		t.Logf("%v: %d bits of %v", kind, bits, kinds)
	}
}

// TestEveryBitOfATileRow does so with tiles, and counts a log that has forgotten its beginning.
func TestEveryBitOfATileRow(t *testing.T) {
	for _, kind := range kinds {
		l := newSketched(t, kind, soundWithTiles(t, kind))
		if err := l.compare(t, 1, &l.mark, l.rows); err != nil {
			t.Fatalf("%v: undamaged: %v", kind, err)
		}
		tiles := 0
		for _, row := range l.rows {
			if _, is := row.(*store.TileRow); !is {
				continue
			}
			tiles++
			flips(row, func(field string, bit int) { l.mustDiffer(t, fmt.Sprint("bit ", bit, " of ", field), &l.mark, l.rows) })
		}
		if tiles == 0 {
			t.Error("there is no tile")
		}
		if err := l.compare(t, 11, &l.mark, l.rows); err != nil {
			t.Errorf("%v: from 11 on: %v", kind, err)
		}
		for _, row := range l.rows {
			root, is := row.(*store.RootRow)
			if !is {
				continue
			}
			root.Root[0] ^= 1
			if err := l.compare(t, 11, &l.mark, l.rows); (err != nil) != (root.Seq >= 11) {
				t.Errorf("%v: from 11 on, the root at %d is wrong: %v", kind, root.Seq, err)
			}
			root.Root[0] ^= 1
		}
	}
}
