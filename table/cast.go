package table

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/lakectl/lakectl/txlog"
)

// Engines round on a cast: '3.7' becomes the integer 4, 1.239 the decimal 1.24, '1e400' an infinity, and a timestamp
// loses its time in a date. A value that would be stored as another one is an error instead, wherever it comes from: a
// file, a query or an expression of a merge. Two things are no loss, because nobody expects these types to be exact:
// a fraction or a float that is rounded to what a float or double holds (a whole number is not), and nanoseconds of
// a timestamp. An infinite date or time is refused too: Delta has none, and other readers fail on it.

// lossMark opens the text that stands in for a value that would lose something, and that no type holds; column, type
// and value follow, each between two lossCuts.
const (
	lossMark = "lakectl: loss"
	lossCut  = "\x1f"
)

// How far a decimal may be from the float that it was made of, relative to it: what a float of that width cannot
// tell apart.
const (
	doubleTolerance = "1e-12"
	floatTolerance  = "1e-6"
)

// CastSQL is expr, a value of type from in the engine's SQL, as a value of type to of a column. A value that does not
// fit, or only with a loss, is an error of the statement: ErrValue.
//
// expr is written several times, so it is best a column. A nil from is a type that nobody knows, which is cast as the
// engine casts. A nested value becomes JSON where the column is a string.
func CastSQL(expr string, from, to *txlog.DataType, column string) string {
	cast := castTo(expr, to)
	if to.Uses(txlog.KindVariant) {
		cast = castVariant(expr, from, to, 0)
	}
	if from != nil && from.Nested() && to.Kind == txlog.KindString {
		return castTo("to_json("+expr+")", to)
	}
	lossy := lossIn(expr, from, to, 0)
	if lossy == "" {
		return cast
	}
	mark := strings.Join([]string{lossMark, column, to.SQL(), ""}, lossCut)
	stand := "concat(" + QuoteString(mark) + ", left(CAST(" + expr + " AS VARCHAR), 80), " + QuoteString(lossCut) + ")"
	if to.Nested() { // a cast of text to these would quote only a part of it
		number := castTo(stand, &txlog.DataType{Kind: txlog.KindInteger})
		return "CASE WHEN (CASE WHEN " + lossy + " THEN " + number + " END) IS NULL THEN " + cast + " END"
	}
	return "CASE WHEN " + lossy + " THEN " + castTo(stand, to) + " ELSE " + cast + " END"
}

// lossIn is a condition that is true where a cast of expr would be another value; "" where none can be. It never fails.
// depth counts the lists around expr.
func lossIn(expr string, from, to *txlog.DataType, depth int) string {
	if from == nil {
		return ""
	}
	name, _ := TypeSQL(to)
	try := "TRY_CAST(" + expr + " AS " + name + ")"
	switch to.Kind {
	case txlog.KindByte, txlog.KindShort, txlog.KindInteger, txlog.KindLong:
		return lossInWhole(expr, try, from)
	case txlog.KindDecimal:
		return lossInDecimal(expr, try, from, to)
	case txlog.KindFloat, txlog.KindDouble:
		return lossInFloat(expr, try, from, to)
	case txlog.KindDate, txlog.KindTimestamp, txlog.KindTimestampNTZ:
		return lossInTime(expr, try, from, to)
	case txlog.KindStruct, txlog.KindArray, txlog.KindMap:
		return lossInNested(expr, from, to, depth)
	default:
	}
	return ""
}

// written is a condition that is true for text that may stand for a number with a fraction.
func written(expr string) string {
	return "(contains(" + expr + ", '.') OR contains(lower(" + expr + "), 'e'))"
}

func lossInWhole(expr, try string, from *txlog.DataType) string {
	switch from.Kind {
	case txlog.KindString:
		return written(expr) + " AND TRY_CAST(" + expr + " AS DECIMAL(38,18)) <> " + try
	case txlog.KindFloat, txlog.KindDouble:
		return expr + " <> trunc(" + expr + ")"
	case txlog.KindDecimal:
		if from.Scale > 0 {
			return expr + " <> trunc(" + expr + ")"
		}
	default:
	}
	return ""
}

func lossInDecimal(expr, try string, from, to *txlog.DataType) string {
	far := func(value, tolerance string) string {
		return "abs(" + value + " - CAST(" + try + " AS DOUBLE)) > abs(" + value + ") * " + tolerance
	}
	switch from.Kind {
	case txlog.KindString:
		// As many digits before the point as the column has, and all that are left after it.
		if scale := 38 - (to.Precision - to.Scale); scale > to.Scale {
			return written(expr) + " AND TRY_CAST(" + expr + " AS DECIMAL(38," + strconv.Itoa(scale) + ")) <> " + try
		}
		return written(expr) + " AND " + far("TRY_CAST("+expr+" AS DOUBLE)", doubleTolerance)
	case txlog.KindDouble:
		return far(expr, doubleTolerance)
	case txlog.KindFloat:
		return far("CAST("+expr+" AS DOUBLE)", floatTolerance)
	case txlog.KindDecimal:
		if from.Scale > to.Scale {
			return expr + " <> " + try
		}
	default:
	}
	return ""
}

// lossInFloat finds whole numbers that lose digits, and what is too large or too small.
func lossInFloat(expr, try string, from, to *txlog.DataType) string {
	whole := "TRY_CAST(" + expr + " AS HUGEINT) <> TRY_CAST(" + try + " AS HUGEINT)"
	switch from.Kind {
	case txlog.KindString:
		text := "CAST(" + expr + " AS VARCHAR)"
		return "(isinf(" + try + ") AND NOT contains(lower(" + text + "), 'inf')" +
			" OR " + try + " = 0 AND regexp_matches(" + text + ", '^[^eE]*[1-9]')" +
			" OR strlen(" + text + ") > 7 AND regexp_full_match(" + text + ", '\\s*[-+]?[0-9]+\\s*') AND " + whole + ")"
	case txlog.KindDouble:
		if to.Kind == txlog.KindFloat {
			return expr + " <> 0 AND " + try + " = 0"
		}
	case txlog.KindLong:
		return whole
	case txlog.KindInteger:
		if to.Kind == txlog.KindFloat {
			return whole
		}
	case txlog.KindDecimal:
		if from.Scale == 0 {
			return whole
		}
	default:
	}
	return ""
}

// lossInTime finds infinities, and times of day that a date has no place for.
func lossInTime(expr, try string, from, to *txlog.DataType) string {
	switch from.Kind {
	case txlog.KindDate:
		return "isinf(" + expr + ")"
	case txlog.KindTimestamp, txlog.KindTimestampNTZ:
		if to.Kind != txlog.KindDate {
			return "isinf(" + expr + ")"
		}
		name, _ := TypeSQL(from)
		return "(isinf(" + expr + ") OR " + expr + " <> TRY_CAST(" + try + " AS " + name + "))"
	case txlog.KindString:
		infinite := "isinf(" + try + ")"
		if to.Kind != txlog.KindDate {
			return infinite
		}
		// Something that is not zero after year, month and day.
		text := "CAST(" + expr + " AS VARCHAR)"
		return "(" + infinite + " OR strlen(" + text + ") > 10 AND regexp_matches(" + text +
			", '^\\s*[-+]?[0-9]+[^0-9]+[0-9]+[^0-9]+[0-9]+[^0-9].*[1-9]'))"
	default:
	}
	return ""
}

// lossInNested looks into fields, elements, keys and values.
func lossInNested(expr string, from, to *txlog.DataType, depth int) string {
	if from.Kind != to.Kind {
		return ""
	}
	item := "_lake_item" + strconv.Itoa(depth)
	within := func(list string, from, to *txlog.DataType) string {
		lossy := lossIn(item, from, to, depth+1)
		if lossy == "" {
			return ""
		}
		return "len(list_filter(" + list + ", lambda " + item + ": " + lossy + ")) > 0"
	}
	var all []string
	switch to.Kind {
	case txlog.KindStruct:
		for _, f := range from.Fields {
			for _, t := range to.Fields {
				if strings.EqualFold(f.Name, t.Name) {
					all = append(all, lossIn("struct_extract("+expr+", "+QuoteString(f.Name)+")", f.Type, t.Type, depth))
				}
			}
		}
	case txlog.KindArray:
		all = append(all, within(expr, from.Element, to.Element))
	case txlog.KindMap:
		all = append(all, within("map_keys("+expr+")", from.Key, to.Key), within("map_values("+expr+")", from.Value, to.Value))
	default:
	}
	all = slices.DeleteFunc(all, func(s string) bool { return s == "" })
	if len(all) == 0 {
		return ""
	}
	return "(" + strings.Join(all, " OR ") + ")"
}

// valueErrorOf turns the error that a value raised back into what it means.
func valueErrorOf(err error) error {
	var s *SQLError
	if !errors.As(err, &s) {
		return err
	}
	if loss, ok := lossOf(s); ok {
		return loss
	}
	if _, column, ok := strings.Cut(s.Message, identityMark); ok {
		column, _, _ = strings.Cut(column, "\n")
		return &ConstraintError{Kind: kindIdentity, Column: strings.TrimSpace(column)}
	}
	return err
}

// lossOf reads what a cast that would have lost something left in the message of the engine.
func lossOf(err *SQLError) (*ValueError, bool) {
	_, rest, ok := strings.Cut(err.Message, lossMark+lossCut)
	parts := strings.SplitN(rest, lossCut, 4)
	if !ok || len(parts) != 4 {
		return nil, false
	}
	return &ValueError{Column: parts[0], Type: parts[1], Value: parts[2], cause: err}, true
}
