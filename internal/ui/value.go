package ui

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// Text prints one value of a row for people, safe for a terminal. NULL is "NULL".
func Text(v any) string { return Clean(rawText(v)) }

// rawText prints a value as it is: the form of CSV.
func rawText(v any) string {
	switch v := v.(type) {
	case nil:
		return "NULL"
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case int:
		return strconv.Itoa(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case txlog.Version:
		return strconv.FormatInt(int64(v), 10)
	case float32:
		return float(float64(v), 32)
	case float64:
		return float(v, 64)
	case []byte:
		return hex.EncodeToString(v)
	case time.Time:
		return Instant(v)
	case WallClock:
		return v.String()
	case Variant:
		return string(v)
	case txlog.Date:
		return day(v)
	case fmt.Stringer: // txlog.Decimal
		return v.String()
	case []any, []table.MapEntry:
		text, err := json.Marshal(jsonValue(v))
		if err != nil {
			return fmt.Sprint(v)
		}
		return string(text)
	}
	return fmt.Sprint(v)
}

// Instant prints a timestamp in UTC, with as many decimals as it needs.
func Instant(t time.Time) string { return moment(t, "2006-01-02 15:04:05.999999Z") }

// moment prints a time in a layout, and the two that DuckDB and Postgres set aside for infinity by their name.
func moment(t time.Time, layout string) string {
	switch t.UnixMicro() {
	case math.MaxInt64:
		return "infinity"
	case -math.MaxInt64:
		return "-infinity"
	}
	return t.UTC().Format(layout)
}

func day(d txlog.Date) string {
	switch d {
	case math.MaxInt32:
		return "infinity"
	case -math.MaxInt32:
		return "-infinity"
	}
	return d.String()
}

// WallClock is a timestamp without a zone (timestamp_ntz): the reading of a clock on a wall.
type WallClock time.Time

// String prints the reading, with as many decimals as it needs.
func (w WallClock) String() string { return moment(time.Time(w), "2006-01-02 15:04:05.999999") }

// Variant is a value of type variant, as JSON.
type Variant string

func float(f float64, bits int) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	case f != 0 && (math.Abs(f) >= 1e15 || math.Abs(f) < 1e-6):
		return strconv.FormatFloat(f, 'g', -1, bits)
	}
	return strconv.FormatFloat(f, 'f', -1, bits)
}

// jsonValue turns a value into what encoding/json writes the way the documentation promises: decimals are numbers
// with all their digits, timestamps RFC 3339, dates ISO, bytes base64, maps lists of {key, value}, variants what they are.
func jsonValue(v any) any {
	switch v := v.(type) {
	case txlog.Decimal:
		return json.RawMessage(v.String())
	case time.Time:
		return moment(v, "2006-01-02T15:04:05.999999Z")
	case Variant:
		if json.Valid([]byte(v)) {
			return json.RawMessage(v)
		}
		return string(v) // NaN and infinities, which JSON has not
	case WallClock:
		return moment(time.Time(v), "2006-01-02T15:04:05.999999")
	case txlog.Date:
		return day(v)
	case []byte:
		return base64.StdEncoding.EncodeToString(v)
	case float32:
		if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
			return float(f, 32)
		}
		return v
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return float(v, 64)
		}
		return v
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = jsonValue(v[i])
		}
		return out
	case Struct:
		return v
	case []table.MapEntry:
		out := make([]map[string]any, len(v))
		for i, e := range v {
			out[i] = map[string]any{"key": jsonValue(e.Key), "value": jsonValue(e.Value)}
		}
		return out
	}
	return v
}

// Struct is a struct value with the names of its fields.
type Struct struct {
	Names  []string
	Values []any
}

// MarshalJSON keeps the order of the fields.
func (s Struct) MarshalJSON() ([]byte, error) {
	var b strings.Builder
	b.WriteByte('{')
	for i, n := range s.Names {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := json.Marshal(n)
		if err != nil {
			return nil, fmt.Errorf("write field name: %w", err)
		}
		value, err := json.Marshal(jsonValue(s.Values[i]))
		if err != nil {
			return nil, fmt.Errorf("write field %s: %w", n, err)
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return []byte(b.String()), nil
}

// String prints the struct as JSON does.
func (s Struct) String() string {
	text, err := s.MarshalJSON()
	if err != nil {
		return "?"
	}
	return string(text)
}

// Shaper gives the values of rows the form that their Delta types ask for: timestamp_ntz becomes a [WallClock],
// structs carry their names, variants are [Variant].
func Shaper(fields []txlog.Field) func(row []any) []any {
	return func(row []any) []any {
		out := make([]any, len(row))
		for i, v := range row {
			out[i] = shape(fields[i].Type, v)
		}
		return out
	}
}

func shape(t *txlog.DataType, v any) any {
	if t == nil || v == nil {
		return v
	}
	switch v := v.(type) {
	case string:
		if t.Kind == txlog.KindVariant {
			return Variant(v)
		}
	case time.Time:
		if t.Kind == txlog.KindTimestampNTZ {
			return WallClock(v)
		}
	case []any:
		if t.Kind == txlog.KindStruct && len(t.Fields) == len(v) {
			s := Struct{Values: make([]any, len(v))}
			for i, f := range t.Fields {
				s.Names = append(s.Names, f.Name)
				s.Values[i] = shape(f.Type, v[i])
			}
			return s
		}
		if t.Kind == txlog.KindArray {
			out := make([]any, len(v))
			for i := range v {
				out[i] = shape(t.Element, v[i])
			}
			return out
		}
	case []table.MapEntry:
		if t.Kind == txlog.KindMap {
			out := make([]table.MapEntry, len(v))
			for i, e := range v {
				out[i] = table.MapEntry{Key: shape(t.Key, e.Key), Value: shape(t.Value, e.Value)}
			}
			return out
		}
	}
	return v
}

// Numeric tells whether values of the type stand at the right of their column.
func Numeric(t *txlog.DataType) bool {
	if t == nil {
		return false
	}
	switch t.Kind {
	case txlog.KindLong, txlog.KindInteger, txlog.KindShort, txlog.KindByte, txlog.KindFloat, txlog.KindDouble, txlog.KindDecimal:
		return true
	default:
		return false
	}
}
