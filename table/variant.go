package table

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/lakectl/lakectl/txlog"
)

// A variant is one value in SQL and two byte strings in files, its packed form. In SQL a variant that is null cannot be
// told from NULL, so rows that only move, and columns that an update keeps, go from file to file packed.

// keptPrefix begins the names of the columns that Relation.KeepVariants adds.
const keptPrefix = "_lake_kept_"

// KeptColumn is the column that Relation.KeepVariants adds for the one called name.
func KeptColumn(name string) string { return keptPrefix + name }

// keptOf is a column of an alias as an update leaves it: of one with variants what KeepVariants added.
func keptOf(alias string, f txlog.Field) string {
	if f.Type.Uses(txlog.KindVariant) {
		return qualified(alias, KeptColumn(f.Name))
	}
	return qualified(alias, f.Name)
}

// packedValues are values of columns, each of its column's type, with their variants packed.
func packedValues(values map[string]string, schema *txlog.Schema) map[string]string {
	out := maps.Clone(values)
	for _, f := range schema.Fields {
		if value, set := out[f.Name]; set && f.Type.Uses(txlog.KindVariant) {
			out[f.Name] = PackVariants(value, f.Type, f.Type)
		}
	}
	return out
}

// changedSQL is true where the values a and b of type t differ.
func changedSQL(a, b string, t *txlog.DataType) string {
	if t.Uses(txlog.KindVariant) { // which have no order, and no equality where their types differ
		a, b = PackVariants(a, t, t), PackVariants(enclosed(b), t, t)
	}
	return a + " IS DISTINCT FROM " + b
}

// castVariant is expr as a value of a type that is or has a variant. A text is JSON, which must be sound; the string x
// is CAST('x' AS VARIANT). depth counts the lists around expr.
func castVariant(expr string, from, to *txlog.DataType, depth int) string {
	item := "_lake_item" + strconv.Itoa(depth)
	switch {
	case from == nil || from.Equal(to) || !to.Uses(txlog.KindVariant):
		return castTo(expr, to)
	case to.Kind == txlog.KindVariant && from.Kind == txlog.KindString:
		return castTo("CAST("+expr+" AS JSON)", to)
	case from.Kind != to.Kind:
		return castTo(expr, to)
	case to.Kind == txlog.KindArray:
		return "list_transform(" + expr + ", lambda " + item + ": " + castVariant(item, from.Element, to.Element, depth+1) + ")"
	case to.Kind == txlog.KindMap:
		return mapWith(expr, item, castVariant(item+".key", from.Key, to.Key, depth+1), castVariant(item+".value", from.Value, to.Value, depth+1))
	}
	return structWith(expr, from, to, func(value string, from, to *txlog.DataType) string {
		if from == nil {
			return castTo("NULL", to)
		}
		return castVariant(value, from, to, depth)
	})
}

// PackVariants is expr, a value of type from, as one of type to whose variants stand as they do in files. from is nil
// where nobody knows it.
func PackVariants(expr string, from, to *txlog.DataType) string { return packAt(expr, from, to, 0) }

func packAt(expr string, from, to *txlog.DataType, depth int) string {
	item := "_lake_item" + strconv.Itoa(depth)
	switch {
	case !to.Uses(txlog.KindVariant):
		return castTo(expr, to)
	case to.Kind == txlog.KindVariant:
		expr = castVariant(expr, from, to, depth)
		// The function has no NULL but that of the variant.
		return "CASE WHEN " + expr + " IS NOT NULL THEN CAST(variant_to_parquet_variant(" + expr + ") AS " + packedSQL(to) + ") END"
	case from == nil || from.Kind != to.Kind:
		return packAt(castTo(expr, to), to, to, depth)
	case to.Kind == txlog.KindArray:
		return "list_transform(" + expr + ", lambda " + item + ": " + packAt(item, from.Element, to.Element, depth+1) + ")"
	case to.Kind == txlog.KindMap:
		return mapWith(expr, item, packAt(item+".key", from.Key, to.Key, depth+1), packAt(item+".value", from.Value, to.Value, depth+1))
	}
	return structWith(expr, from, to, func(value string, from, to *txlog.DataType) string {
		if from == nil {
			return "CAST(NULL AS " + packedSQL(to) + ")"
		}
		return packAt(value, from, to, depth)
	})
}

// packedSQL is the name of a type whose variants stand as they do in files.
func packedSQL(t *txlog.DataType) string {
	name, err := TypeText{Packed: true, Void: true}.SQL(t)
	if err != nil {
		return "VARCHAR" // such a value cannot be written, which others say
	}
	return name
}

// mapWith is a map with other keys and values, both made of item.
func mapWith(expr, item, key, value string) string {
	return "CASE WHEN " + expr + " IS NOT NULL THEN map_from_entries(list_transform(map_entries(" + expr + "), lambda " + item +
		": struct_pack(key := " + key + ", value := " + value + "))) END"
}

// structWith is a struct of type from with the fields of type to; each makes one of them, from nil and "" where from
// lacks it.
func structWith(expr string, from, to *txlog.DataType, each func(value string, from, to *txlog.DataType) string) string {
	fields := make([]string, len(to.Fields))
	for i, f := range to.Fields {
		value, was := "", (*txlog.DataType)(nil)
		if at := slices.IndexFunc(from.Fields, func(o txlog.Field) bool { return strings.EqualFold(o.Name, f.Name) }); at >= 0 {
			value, was = "struct_extract("+expr+", "+QuoteString(from.Fields[at].Name)+")", from.Fields[at].Type
		}
		fields[i] = QuoteIdent(f.Name) + " := " + each(value, was, f.Type)
	}
	return "CASE WHEN " + expr + " IS NOT NULL THEN struct_pack(" + strings.Join(fields, ", ") + ") END"
}
