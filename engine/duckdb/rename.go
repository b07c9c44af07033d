package duckdb

import (
	"fmt"
	"strings"

	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// rename rebuilds nested values whose fields are called differently inside and outside of files, and turns
// timestamps that lack a zone mark into instants. Its zero value changes nothing.
//
// DuckDB renames top-level columns itself; inside structs, lists and maps values must be taken apart.
type rename struct {
	from, to txlog.ColumnMapping // how the fields of the input and of the output are named
	legacy   bool                // the input has TIMESTAMP where the type says timestamp: UTC
	unpack   bool                // the input has variants as files hold them
}

// apply is the expression of the value sql of type t in its new shape. depth makes names of lambda parameters unique.
func (r rename) apply(sql string, t *txlog.DataType, depth int) string {
	if !r.changes(t) {
		return sql
	}
	x := fmt.Sprintf("x%d", depth)
	switch t.Kind {
	case txlog.KindTimestamp:
		return "timezone('UTC', " + sql + ")"
	case txlog.KindVariant:
		return unpackVariant(sql)
	case txlog.KindStruct:
		fields := make([]string, len(t.Fields))
		for i, f := range t.Fields {
			inner := "struct_extract(" + sql + ", " + table.QuoteString(f.PhysicalName(r.from)) + ")"
			fields[i] = table.QuoteIdent(f.PhysicalName(r.to)) + " := " + r.apply(inner, f.Type, depth)
		}
		return "CASE WHEN " + sql + " IS NOT NULL THEN struct_pack(" + strings.Join(fields, ", ") + ") END"
	case txlog.KindArray:
		return "list_transform(" + sql + ", lambda " + x + ": " + r.apply(x, t.Element, depth+1) + ")"
	default: // a map
		entry := "struct_pack(key := " + r.apply(x+".key", t.Key, depth+1) +
			", value := " + r.apply(x+".value", t.Value, depth+1) + ")"
		return "CASE WHEN " + sql + " IS NOT NULL THEN map_from_entries(list_transform(map_entries(" + sql +
			"), lambda " + x + ": " + entry + ")) END"
	}
}

// changes tells whether any value of type t looks different afterwards.
func (r rename) changes(t *txlog.DataType) bool {
	switch t.Kind {
	case txlog.KindTimestamp:
		return r.legacy
	case txlog.KindVariant:
		return r.unpack
	case txlog.KindArray:
		return r.changes(t.Element)
	case txlog.KindMap:
		return r.changes(t.Key) || r.changes(t.Value)
	case txlog.KindStruct:
		for _, f := range t.Fields {
			if f.PhysicalName(r.from) != f.PhysicalName(r.to) || r.changes(f.Type) {
				return true
			}
		}
	}
	return false
}
