package table

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/lakectl/lakectl/txlog"
)

// newRows is the SELECT of rows that are new to a table, in the making: parts that bring values, each completed by what
// the rules of the table give, and then checked as one. The check is a WHERE clause that raises an error, so it costs
// no pass of its own, and nothing has been uploaded for a row that was not checked.
type newRows struct {
	rules   *rules
	schema  *txlog.Schema // what the rows have: the columns of the table, and those behind them that nobody sees
	parts   []string
	brought map[string]bool // generated columns that a part brings values of
	numbers []int64         // rows that get a number, by identity column; allRows: every row
	packed  bool            // values that are brought have their variants packed
}

// allRows stands for the rows of a part where nobody has counted them: then it is the only part.
const allRows = -1

// newRowsOf starts the new rows of a table that looks as the change leaves it.
func (c *Change) newRowsOf() (*newRows, error) {
	r, err := rulesOf(c.shape, c.start)
	if err != nil {
		return nil, err
	}
	return r.newRows(c.shape.schema), nil
}

// newRows starts new rows with the columns of schema: those of the table, and hidden ones.
func (r *rules) newRows(schema *txlog.Schema) *newRows {
	return &newRows{rules: r, schema: schema, brought: map[string]bool{}, numbers: make([]int64, len(r.identity))}
}

// add is rows of from (FROM … WHERE …) with these values by column, each of the column's type. Inserted rows, which are
// count, get defaults and numbers where they bring nothing; generated columns are computed where no value is brought.
func (n *newRows) add(values map[string]string, from string, inserted bool, count int64) {
	columns, outer := make([]string, 0, len(n.schema.Fields)), map[string]string{}
	for _, f := range n.schema.Fields {
		value, brought := values[f.Name]
		byDefault, has := n.rules.defaults[f.Name]
		switch {
		case brought && n.rules.computes(f.Name):
			n.brought[f.Name] = true
		case brought:
		case inserted && has:
			value = byDefault
		default:
			value = castTo("NULL", f.Type)
		}
		if n.packed && !brought && f.Type.Uses(txlog.KindVariant) {
			value = PackVariants(value, f.Type, f.Type)
		}
		columns = append(columns, value+" AS "+QuoteIdent(f.Name))
	}
	for _, g := range n.rules.generated {
		if _, brought := values[g.name]; !brought {
			outer[g.name] = g.sql
		}
	}
	for i, id := range n.rules.identity {
		_, brought := values[id.column]
		asks := inserted && !brought
		switch {
		case !asks:
		case count == allRows:
			n.numbers[i] = allRows
		default:
			n.numbers[i] += count
		}
		columns = append(columns, strconv.FormatBool(asks)+" AS "+QuoteIdent(id.asks))
	}
	sql := "SELECT " + strings.Join(columns, ", ") + from
	if len(outer) > 0 {
		sql = n.over(sql, outer, true)
	}
	n.parts = append(n.parts, sql)
}

// over selects the columns of the table from rows that have them, some computed from the others; with asks also the
// columns that say which rows get numbers.
func (n *newRows) over(rows string, computed map[string]string, asks bool) string {
	columns := make([]string, 0, len(n.schema.Fields))
	for _, f := range n.schema.Fields {
		value, has := computed[f.Name]
		if !has {
			value = qualified(rowAlias, f.Name)
		}
		columns = append(columns, value+" AS "+QuoteIdent(f.Name))
	}
	for _, id := range n.rules.identity {
		if asks {
			columns = append(columns, qualified(rowAlias, id.asks))
		}
	}
	return "SELECT " + strings.Join(columns, ", ") + " FROM (" + rows + ") AS " + rowAlias
}

// unchecked is the SELECT of all rows.
func (n *newRows) unchecked() string {
	sql := strings.Join(n.parts, " UNION ALL ")
	switch {
	case len(n.rules.identity) == 0:
		return sql
	case !n.gives():
		return n.over(sql, nil, false)
	}
	counted, values := []string{rowAlias + ".*"}, map[string]string{}
	for _, id := range n.rules.identity {
		counted = append(counted, id.counted())
		values[id.column] = id.value()
	}
	return n.over("SELECT "+strings.Join(counted, ", ")+" FROM ("+sql+") AS "+rowAlias, values, false)
}

// gives tells whether any row gets a number.
func (n *newRows) gives() bool {
	return slices.ContainsFunc(n.numbers, func(count int64) bool { return count != 0 })
}

// checks are the rules that the rows can break.
func (n *newRows) checks() []rowRule {
	out := slices.Clone(n.rules.checks)
	for _, g := range n.rules.generated {
		if n.brought[g.name] {
			out = append(out, g.given)
		}
	}
	return out
}

// stageNew writes new rows into the table's folder. q has their relations.
//
// Errors: *ConstraintError for rows that break a rule; then nothing is left behind.
func (c *Change) stageNew(ctx context.Context, eng Engine, n *newRows, q Query) ([]WrittenFile, error) {
	rows, checks := n.unchecked(), n.checks()
	q.SQL = checkedRows(rows, checks)
	files, err := c.stageAs(ctx, eng, q, n.schema, n.packed)
	if err == nil {
		c.addFresh(files)
		if n.gives() {
			for i := range n.numbers {
				if n.numbers[i] == allRows {
					n.numbers[i] = rowsOf(files)
				}
			}
			err = c.moveMarks(n.rules.identity, n.numbers)
		}
		return files, err
	}
	rule, broken := brokenBy(err, checks)
	if !broken {
		return nil, err
	}
	q.SQL = rows
	return nil, rule.explain(ctx, eng, q)
}

// ruleMark opens the message that a row which breaks a rule raises; the number of the rule follows.
const ruleMark = "lake: a row breaks rule "

// checkedRows adds rules to a SELECT with exactly the columns of the table.
func checkedRows(rows string, checks []rowRule) string {
	if len(checks) == 0 {
		return rows
	}
	var b strings.Builder
	for i, r := range checks {
		b.WriteString(" WHEN " + r.broken + " THEN error(" + QuoteString(ruleMark+strconv.Itoa(i)+";") + ")")
	}
	return "SELECT * FROM (" + rows + ") AS " + rowAlias + " WHERE CASE" + b.String() + " ELSE true END"
}

// brokenBy is the rule that an error of the engine is about.
func brokenBy(err error, checks []rowRule) (rowRule, bool) {
	var s *SQLError
	if !errors.As(err, &s) {
		return rowRule{}, false
	}
	_, rest, ok := strings.Cut(s.Message, ruleMark)
	text, _, end := strings.Cut(rest, ";")
	i, aerr := strconv.Atoi(text)
	if !ok || !end || aerr != nil || i < 0 || i >= len(checks) {
		return rowRule{}, false
	}
	return checks[i], true
}

// explain is the error of a rule that rows of q break, with how many do and a few of them where that can be told.
func (r rowRule) explain(ctx context.Context, eng Engine, q Query) error {
	broken, err := r.find(ctx, eng, q)
	if err != nil || broken == nil {
		return r.err
	}
	return broken
}

// find looks for rows of q that break the rule; nil: there are none.
func (r rowRule) find(ctx context.Context, eng Engine, q Query) (broken *ConstraintError, err error) {
	items := []string{"count(*) OVER ()"}
	for _, c := range r.columns {
		items = append(items, qualified(rowAlias, c))
	}
	if len(r.columns) == 0 {
		items = append(items, rowAlias+".*")
	}
	q.SQL = "SELECT " + strings.Join(items, ", ") + " FROM " + subquery(q.SQL) + " AS " + rowAlias + " WHERE " + r.broken +
		" LIMIT " + strconv.Itoa(ConstraintExamplesMax)
	rows, err := eng.Query(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("check rows: %w", err)
	}
	defer func() { err = joinErrors(err, rows.Close()) }()
	for row, err := range rows.All {
		if err != nil {
			return nil, fmt.Errorf("check rows: %w", err)
		}
		if broken == nil {
			found := *r.err
			broken = &found
		}
		broken.Rows, _ = row[0].(int64)
		var example []string
		for i, v := range row[1:] {
			if i < exampleColumnsMax {
				example = append(example, rows.Columns[i+1].Name+" = "+exampleText(v))
			}
		}
		broken.Examples = append(broken.Examples, strings.Join(example, ", "))
	}
	return broken, nil
}

// exampleColumnsMax bounds the columns that an example of a row shows.
const exampleColumnsMax = 5

// exampleText is a value for people.
func exampleText(v any) string {
	switch v := v.(type) {
	case nil:
		return "NULL"
	case string:
		return QuoteString(clip(v))
	default:
		return clip(fmt.Sprint(v))
	}
}
