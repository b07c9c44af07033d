package table

import (
	"strconv"
	"strings"

	"github.com/lakectl/lakectl/txlog"
)

// Engines round on a cast: '3.7' becomes the integer 4, 1.239 the decimal 1.24, and '1e400' an infinity. A value that
// would be stored as another one is an error instead. Rounding within floats and of timestamps is no loss: nobody
// expects them to be exact.

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
// engine casts; so are nested values.
func CastSQL(expr string, from, to *txlog.DataType, column string) string {
	cast := castTo(expr, to)
	lossy := lossIn(expr, from, to)
	if lossy == "" {
		return cast
	}
	mark := strings.Join([]string{lossMark, column, to.SQL(), ""}, lossCut)
	stand := "concat(" + QuoteString(mark) + ", left(CAST(" + expr + " AS VARCHAR), 80), " + QuoteString(lossCut) + ")"
	return "CASE WHEN " + lossy + " THEN " + castTo(stand, to) + " ELSE " + cast + " END"
}

// lossIn is a condition that is true where a cast of expr would be another value; "" where none can be. It never fails.
func lossIn(expr string, from, to *txlog.DataType) string {
	if from == nil {
		return ""
	}
	name, _ := engineType(to)
	try := "TRY_CAST(" + expr + " AS " + name + ")"
	switch to.Kind {
	case txlog.KindByte, txlog.KindShort, txlog.KindInteger, txlog.KindLong:
		return lossInWhole(expr, try, from)
	case txlog.KindDecimal:
		return lossInDecimal(expr, try, from, to)
	case txlog.KindFloat, txlog.KindDouble:
		if from.Kind == txlog.KindString {
			return "isinf(" + try + ") AND NOT contains(lower(" + expr + "), 'inf')"
		}
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

// lossOf reads what a cast that would have lost something left in the message of the engine.
func lossOf(err *SQLError) (*ValueError, bool) {
	_, rest, ok := strings.Cut(err.Message, lossMark+lossCut)
	parts := strings.SplitN(rest, lossCut, 4)
	if !ok || len(parts) != 4 {
		return nil, false
	}
	return &ValueError{Column: parts[0], Type: parts[1], Value: parts[2], cause: err}, true
}
