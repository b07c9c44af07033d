package duckdb

import (
	"encoding/hex"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// written is a staged file with what the log wants to know of it.
type written struct {
	staged
	partition map[string]string // by logical column name; "" is NULL
	stats     string
}

// exactStringBytes is the length from which DuckDB cuts the bounds of strings.
const exactStringBytes = 256

// describe checks NULLs and turns partition keys and statistics into those of the protocol.
func (c *copier) describe(files []staged) ([]written, error) {
	var all []written
	for _, f := range files {
		w := written{staged: f, partition: map[string]string{}}
		for i, name := range c.write.PartitionBy {
			field, err := c.write.Schema.Lookup(name)
			if err != nil {
				return nil, fmt.Errorf("partition column %s: %w", name, err)
			}
			text, err := partitionText(field.Type, f.parts[i])
			if err != nil {
				return nil, fmt.Errorf("partition column %s: %w", name, err)
			}
			if text == "" && !field.Nullable {
				return nil, &table.ConstraintError{Kind: "not null", Column: field.Name}
			}
			w.partition[field.Name] = text
		}
		var err error
		if w.stats, err = c.statistics(f); err != nil {
			return nil, fmt.Errorf("statistics: %w", err)
		}
		all = append(all, w)
	}
	return all, nil
}

// partitionText turns the text that copier.partitions asked for into that of the protocol; nil is NULL.
func partitionText(t *txlog.DataType, text *string) (string, error) {
	if text == nil {
		return "", nil
	}
	l := txlog.Literal{Kind: t.Kind}
	var err error
	switch t.Kind {
	case txlog.KindString:
		l.String = *text
	case txlog.KindBoolean:
		l.Bool = *text == "true"
	case txlog.KindLong, txlog.KindInteger, txlog.KindShort, txlog.KindByte:
		l.Kind = txlog.KindLong
		l.Int, err = strconv.ParseInt(*text, 10, 64)
	case txlog.KindFloat, txlog.KindDouble:
		l.Kind = txlog.KindDouble
		l.Float, err = strconv.ParseFloat(*text, 64)
	case txlog.KindDecimal:
		var d txlog.Decimal
		d, err = parseDecimal(*text, t.Scale)
		l.Rat = d.Rat()
	case txlog.KindDate, txlog.KindTimestamp, txlog.KindTimestampNTZ:
		l.Int, err = strconv.ParseInt(*text, 10, 64)
	case txlog.KindBinary:
		var b []byte
		b, err = hex.DecodeString(*text)
		l.String = string(b)
	default:
		err = txlog.ErrUnsupportedType
	}
	if err != nil {
		return "", err
	}
	return txlog.PartitionText(t, l)
}

func parseDecimal(text string, scale int) (txlog.Decimal, error) {
	whole, fraction, _ := strings.Cut(text, ".")
	if len(fraction) > scale {
		return txlog.Decimal{}, fmt.Errorf("decimal %q has more than %d digits after the point", text, scale)
	}
	n, ok := new(big.Int).SetString(whole+fraction+strings.Repeat("0", scale-len(fraction)), 10)
	if !ok {
		return txlog.Decimal{}, fmt.Errorf("decimal %q", text)
	}
	return txlog.Decimal{Unscaled: n, Scale: scale}, nil
}

// statistics is the JSON of one file. It also finds NULLs in columns that have none.
func (c *copier) statistics(f staged) (string, error) {
	var leaves []txlog.LeafStats
	for _, field := range c.write.Schema.Fields {
		if c.partitioned(field.Name) || field.Type.Kind == txlog.KindVoid {
			continue
		}
		name := field.PhysicalName(c.write.Mapping)
		if !field.Nullable && !nestedKind(field.Type) {
			if n, ok := nullCount(f.stats[statsPath(field.Type, name)]); ok && n > 0 {
				return "", &table.ConstraintError{Kind: "not null", Column: field.Name}
			}
		}
		c.leaves(f, []string{name}, field.Type, &leaves)
	}
	return txlog.BuildStats(f.rows, leaves, true)
}

func nestedKind(t *txlog.DataType) bool {
	return t.Kind == txlog.KindStruct || t.Kind == txlog.KindArray || t.Kind == txlog.KindMap
}

// leaves collects the statistics of the leaves of one column that shall have some.
func (c *copier) leaves(f staged, path []string, t *txlog.DataType, into *[]txlog.LeafStats) {
	if t.Kind == txlog.KindStruct {
		for _, field := range t.Fields {
			inner := append(append([]string{}, path...), field.PhysicalName(c.write.Mapping))
			c.leaves(f, inner, field.Type, into)
		}
		return
	}
	if !c.write.Stats.Has(path) || t.Kind == txlog.KindVoid {
		return
	}
	leaf := txlog.LeafStats{Path: path, Type: t, Exact: true}
	if !nestedKind(t) { // DuckDB counts the NULLs of elements, not of the list
		values := f.stats[statsPath(t, path...)]
		if n, ok := nullCount(values); ok {
			leaf.NullCount = &n
		}
		leaf.HasNaN = values["has_nan"] == "true"
		leaf.Min, leaf.Max = bounds(t, values)
		if t.Kind == txlog.KindString && (len(values["min"]) >= exactStringBytes || len(values["max"]) >= exactStringBytes) {
			leaf.Exact = false
		}
	}
	*into = append(*into, leaf)
}

// statsPath is DuckDB's name of the leaf that tells about a column: of a variant the one that is there where it is.
func statsPath(t *txlog.DataType, path ...string) string {
	if t.Kind == txlog.KindVariant {
		path = append(append([]string{}, path...), "metadata")
	}
	return table.QuotePath(path...)
}

func nullCount(values map[string]string) (int64, bool) {
	n, err := strconv.ParseInt(values["null_count"], 10, 64)
	return n, err == nil
}

// bounds reads the minimum and maximum of a leaf; nil where there is none, or none that the protocol can say.
func bounds(t *txlog.DataType, values map[string]string) (lowest, highest *txlog.Literal) {
	low, okLow := values["min"]
	high, okHigh := values["max"]
	if !okLow || !okHigh {
		return nil, nil
	}
	lowest, okLow = statLiteral(t, low)
	highest, okHigh = statLiteral(t, high)
	if !okLow || !okHigh {
		return nil, nil
	}
	return lowest, highest
}

// statLiteral reads one bound as DuckDB prints it: timestamps in UTC whatever the zone of the session.
func statLiteral(t *txlog.DataType, text string) (*txlog.Literal, bool) {
	switch t.Kind {
	case txlog.KindString:
		return &txlog.Literal{Kind: txlog.KindString, String: text}, true
	case txlog.KindLong, txlog.KindInteger, txlog.KindShort, txlog.KindByte:
		n, err := strconv.ParseInt(text, 10, 64)
		return &txlog.Literal{Kind: txlog.KindLong, Int: n}, err == nil
	case txlog.KindFloat, txlog.KindDouble:
		bits := 64
		if t.Kind == txlog.KindFloat {
			bits = 32
		}
		x, err := strconv.ParseFloat(text, bits)
		return &txlog.Literal{Kind: txlog.KindDouble, Float: x}, err == nil && !math.IsInf(x, 0) && !math.IsNaN(x)
	case txlog.KindDecimal:
		d, err := parseDecimal(text, t.Scale)
		if err != nil {
			return nil, false
		}
		return &txlog.Literal{Kind: txlog.KindDecimal, Rat: d.Rat()}, true
	case txlog.KindDate:
		day, err := time.Parse(time.DateOnly, text)
		return &txlog.Literal{Kind: txlog.KindDate, Int: day.Unix() / 86400}, err == nil
	case txlog.KindTimestamp, txlog.KindTimestampNTZ:
		moment, err := time.Parse(time.DateTime, strings.TrimSuffix(text, "+00")) // a fraction may follow the seconds
		return &txlog.Literal{Kind: t.Kind, Int: moment.UnixMicro()}, err == nil
	}
	return nil, false // boolean, binary: no bounds
}
