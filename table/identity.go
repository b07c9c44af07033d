package table

import (
	"fmt"
	"math"
	"math/big"
	"slices"

	"github.com/lakectl/lakectl/txlog"
)

// identityNumbers gives out the values of an identity column.
//
// Protocol: "Identity Columns". Values are start + k × step, each beyond the mark; the commit that brings them moves the
// mark. Two writers cannot give out the same ones: both change the metaData, and the log lets one of them win.
type identityNumbers struct {
	column string
	asks   string // column that is true in rows that get a number
	nth    string // column that counts those rows
	id     txlog.Identity
	first  *big.Int // next value to give out
}

func newIdentityNumbers(f txlog.Field, id *txlog.Identity, nth int) *identityNumbers {
	return &identityNumbers{
		column: f.Name, id: *id, first: firstBeyond(id),
		asks: fmt.Sprintf("_lake_identity_%d", nth), nth: fmt.Sprintf("_lake_number_%d", nth),
	}
}

// firstBeyond is the first start + k × step, k ≥ 0, that lies beyond the mark.
func firstBeyond(id *txlog.Identity) *big.Int {
	start, step := big.NewInt(id.Start), big.NewInt(id.Step)
	if id.HighWaterMark == nil {
		return start
	}
	gone, by := new(big.Int).Sub(big.NewInt(*id.HighWaterMark), start), new(big.Int).Set(step)
	if id.Step < 0 {
		gone.Neg(gone)
		by.Neg(by)
	}
	k := gone.Div(gone, by) // rounds down, since by is positive
	k.Add(k, big.NewInt(1))
	if k.Sign() < 0 {
		k.SetInt64(0)
	}
	return k.Add(k.Mul(k, step), start)
}

// identityMark opens the message that numbers which have run out raise; the column follows.
const identityMark = "lake: no number is left for identity column "

// counted is the SQL that counts the rows that get a number, as far as the row.
func (n *identityNumbers) counted() string {
	return "CAST(sum(CAST(" + qualified(rowAlias, n.asks) + " AS INTEGER)) OVER (ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS HUGEINT) AS " +
		QuoteIdent(n.nth)
}

// value is the SQL of the column over rows that are counted.
func (n *identityNumbers) value() string {
	value := fmt.Sprintf("(CAST('%s' AS HUGEINT) + CAST('%d' AS HUGEINT) * (%s - 1))", n.first, n.id.Step, qualified(rowAlias, n.nth))
	return "CASE WHEN NOT " + qualified(rowAlias, n.asks) + " THEN " + qualified(rowAlias, n.column) +
		fmt.Sprintf(" WHEN %s BETWEEN CAST('%d' AS HUGEINT) AND CAST('%d' AS HUGEINT)", value, int64(math.MinInt64), int64(math.MaxInt64)) +
		" THEN CAST(" + value + " AS BIGINT) ELSE error(" + QuoteString(identityMark+n.column) + ") END"
}

// after is the identity once count numbers were given out.
func (n *identityNumbers) after(count int64) *txlog.Identity {
	id := n.id
	last := new(big.Int).Mul(big.NewInt(id.Step), big.NewInt(count-1))
	last.Add(last, n.first)
	if count > 0 && last.IsInt64() { // larger ones were an error of the statement
		mark := last.Int64()
		id.HighWaterMark = &mark
	}
	return &id
}

// moveMarks plans the metaData that says how many numbers of each of these columns were given out.
func (c *Change) moveMarks(numbers []*identityNumbers, given []int64) error {
	if !slices.ContainsFunc(given, func(n int64) bool { return n > 0 }) {
		return nil
	}
	schema := &txlog.Schema{Fields: append([]txlog.Field(nil), c.shape.schema.Fields...)}
	for i, n := range numbers {
		f, err := schema.Lookup(n.column)
		if err != nil {
			return err
		}
		*f = f.WithIdentity(n.after(given[i]))
	}
	meta, _ := c.inForce()
	meta.SchemaString = schema.JSON()
	return c.redefine(meta, schema, nil)
}

// keepMarksOf gives metaData that comes back the marks of now where they are further on: a number is never given out
// twice, also when older rows come back.
func keepMarksOf(meta *txlog.Metadata, now *txlog.Snapshot) error {
	schema, err := txlog.ParseSchema(meta.SchemaString)
	if err != nil {
		return err
	}
	newest, err := now.Schema()
	if err != nil {
		return err
	}
	changed, err := keepMarks(schema, newest)
	if err != nil || !changed {
		return err
	}
	meta.SchemaString = schema.JSON()
	return nil
}

// keepMarks gives the columns of schema the marks of the same columns of now that are further on.
func keepMarks(schema, now *txlog.Schema) (changed bool, err error) {
	for i, f := range schema.Fields {
		id, err := f.Identity()
		if err != nil {
			return false, err
		}
		at := indexOfColumn(now, f)
		if id == nil || at < 0 {
			continue
		}
		was, err := now.Fields[at].Identity()
		if err != nil {
			return false, err
		}
		if was == nil || was.HighWaterMark == nil {
			continue
		}
		behind := id.HighWaterMark == nil || id.Step > 0 && *id.HighWaterMark < *was.HighWaterMark ||
			id.Step < 0 && *id.HighWaterMark > *was.HighWaterMark
		if behind {
			id.HighWaterMark, changed = was.HighWaterMark, true
			schema.Fields[i] = f.WithIdentity(id)
		}
	}
	return changed, nil
}

// indexOfColumn finds in now the column that f is or was: by physical name, so that a renamed one is found too.
func indexOfColumn(now *txlog.Schema, f txlog.Field) int {
	physical := f.PhysicalName(txlog.MappingName)
	for i, g := range now.Fields {
		if g.PhysicalName(txlog.MappingName) == physical {
			return i
		}
	}
	return -1
}
