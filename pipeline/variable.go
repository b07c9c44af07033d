package pipeline

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/lakectl/lakectl/txlog"
)

// variable is a typed value that project files use as ${name}.
type variable struct {
	kind *txlog.DataType
	text string
}

func (v variable) literal() (string, error) { return typedLiteral(v.kind, v.text) }

// checkVariable says why text is no value of type t, "" when it is one.
func checkVariable(t *txlog.DataType, text string) string {
	var err error
	switch t.Kind { // the other kinds cannot be written as text
	case txlog.KindString:
	case txlog.KindLong, txlog.KindInteger, txlog.KindShort, txlog.KindByte:
		bits := map[txlog.Kind]int{txlog.KindLong: 64, txlog.KindInteger: 32, txlog.KindShort: 16, txlog.KindByte: 8}[t.Kind]
		_, err = strconv.ParseInt(text, 10, bits)
	case txlog.KindDouble, txlog.KindFloat:
		_, err = strconv.ParseFloat(text, 64)
	case txlog.KindDecimal:
		if _, ok := new(big.Rat).SetString(text); !ok || strings.ContainsAny(text, "/eE") {
			err = strconv.ErrSyntax
		}
	case txlog.KindBoolean:
		if text != "true" && text != "false" {
			err = strconv.ErrSyntax
		}
	case txlog.KindDate:
		_, err = time.Parse(time.DateOnly, text)
	case txlog.KindTimestamp:
		_, err = time.Parse(time.RFC3339Nano, text)
	case txlog.KindTimestampNTZ:
		_, err = time.Parse(time.DateTime, strings.Replace(text, "T", " ", 1))
	default:
		return fmt.Sprintf("a variable cannot have the type %s", t.SQL())
	}
	if err != nil {
		return fmt.Sprintf("%q is not a %s", text, t.SQL())
	}
	return ""
}
