package ronledger_test

import (
	"go/ast"
	"go/token"
	"strconv"
	"strings"
	"testing"
)

// hostileMin is how many hostile cases there are at least.
const hostileMin = 60

// TestHostileCases counts the tables of the tests TestHostile…, where they stand: each
// row is a case and has a name of its own. How it is refused stands in the row, or in
// the test where that is the same for all.
func TestHostileCases(t *testing.T) {
	total, tables := 0, 0
	for _, s := range sources(t) {
		if !s.test() {
			continue
		}
		for _, declared := range s.parsed.Decls {
			f, ok := declared.(*ast.FuncDecl)
			if !ok || !strings.HasPrefix(f.Name.Name, "TestHostile") || f.Name.Name == "TestHostileCases" {
				continue
			}
			rows := hostileRows(f)
			if len(rows) == 0 {
				t.Errorf("%s: %s has no table", s.path, f.Name.Name)
			}
			names := map[string]bool{}
			for _, row := range rows {
				name, err := strconv.Unquote(row.Elts[0].(*ast.BasicLit).Value)
				if err != nil || names[name] || len(row.Elts) < 2 {
					t.Errorf("%s:%d: %q: a case needs a name of its own", s.path, s.line(row.Pos()), name)
				}
				names[name] = true
			}
			t.Logf("%3d cases in %s", len(rows), f.Name.Name)
			total += len(rows)
			tables++
		}
	}
	t.Logf("%3d cases in %d tables", total, tables)
	if total < hostileMin {
		t.Errorf("there are %d hostile cases, at least %d are asked for", total, hostileMin)
	}
}

// hostileRows finds the rows of a test's tables: literals that begin with a name.
func hostileRows(f *ast.FuncDecl) (rows []*ast.CompositeLit) {
	ast.Inspect(f, func(n ast.Node) bool {
		table, ok := n.(*ast.CompositeLit)
		if !ok {
			return true
		}
		if list, ok := table.Type.(*ast.ArrayType); !ok || !isStruct(list.Elt) {
			return true
		}
		for _, element := range table.Elts {
			row, ok := element.(*ast.CompositeLit)
			if !ok || len(row.Elts) == 0 {
				continue
			}
			if name, ok := row.Elts[0].(*ast.BasicLit); ok && name.Kind == token.STRING {
				rows = append(rows, row)
			}
		}
		return false
	})
	return rows
}

func isStruct(e ast.Expr) bool {
	_, ok := e.(*ast.StructType)
	return ok
}
