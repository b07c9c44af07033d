package pipeline

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/lakectl/lakectl/internal/limits"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// Columns that judging adds to candidate rows. Lists of rule names are joined by commas; "" is none.
const (
	colReason     = "_lake_reason"     // why the row cannot be judged: parse, contract, null_key, null_sequence; else NULL
	colInfo       = "_lake_info"       // detail of the reason
	colRaw        = "_lake_raw"        // raw text of a row that could not be parsed
	colQuarantine = "_lake_quarantine" // rules that quarantine the row
	colDrop       = "_lake_drop"
	colWarn       = "_lake_warn"
	colFail       = "_lake_fail"
)

// accepted is the condition of rows that go on to the table.
const accepted = colReason + " IS NULL AND " + colQuarantine + " = '' AND " + colDrop + " = ''"

// rejected is the condition of rows that go to the side table.
const rejected = "(" + colReason + " IS NOT NULL OR " + colQuarantine + " <> '')"

// condition is a row rule ready to run.
type condition struct {
	rule
	passes  string   // SQL, TRUE where the row passes, never NULL
	columns []string // that it reads
}

// conditions prepares the rules of the model for candidate rows with these columns. candidates is a SELECT that gives
// them; it is only read for rules that run in Go.
func (t *task) conditions(ctx context.Context, fields []txlog.Field, candidates string) ([]condition, error) {
	schema := &txlog.Schema{Fields: fields}
	var out []condition
	for _, x := range t.s.m.table.rules {
		c := condition{rule: x}
		var err error
		if x.sql != "" {
			err = t.sqlCondition(ctx, &c, schema)
		} else {
			err = t.tagCondition(ctx, &c, schema, candidates)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", x.where, err)
		}
		out = append(out, c)
	}
	return out, nil
}

func (t *task) sqlCondition(ctx context.Context, c *condition, schema *txlog.Schema) error {
	text, _, err := expandSQL(c.sql, moment{run: t.p.Run, asOf: t.p.AsOf}.lookup(t.r.o.Project.vars))
	if err != nil {
		return fmt.Errorf("%w: %w", errConfig, err)
	}
	c.passes = "coalesce((" + text + "\n), FALSE)"
	s, err := t.r.o.Engine.Parse(ctx, table.Parse{
		SQL: "SELECT 1 FROM _lake.candidate WHERE " + c.passes, TimeZone: t.s.p.TimeZone,
		Schemas: func(table.TableRef) (*txlog.Schema, error) { return schema, nil },
	})
	if err != nil {
		return err
	}
	for _, ref := range s.Tables {
		c.columns = append(c.columns, ref.Columns...)
	}
	return nil
}

func (t *task) tagCondition(ctx context.Context, c *condition, schema *txlog.Schema, candidates string) error {
	f, err := schema.Lookup(c.column)
	if err != nil {
		return fmt.Errorf("%w: there is no column %q", errConfig, c.column)
	}
	if why := checkTag(c.tag, f.Type); why != "" {
		return fmt.Errorf("%w: %s", errConfig, why)
	}
	c.columns = []string{f.Name}
	kind := valueKindOf(f.Type)
	if sql, ok := twin(c.tag, quoteIdent(f.Name), kind); ok {
		c.passes = sql
		return nil
	}
	return t.goCondition(ctx, c, f.Name, kind, candidates)
}

// goCondition judges the distinct values of a column in Go, and turns the answer into SQL: the values that fail.
func (t *task) goCondition(ctx context.Context, c *condition, column string, kind valueKind, candidates string) error {
	col := quoteIdent(column)
	most := t.r.o.Project.Limits.ValidateDistinct
	g := newGoValidator()
	var seen int64
	var bad []string
	err := t.r.eachRow(ctx, t.query("SELECT DISTINCT "+col+" FROM "+bodyOf(candidates)+" AS c WHERE "+col+" IS NOT NULL"), func(row []any) error {
		if seen++; seen > most {
			return limits.Over("validate_distinct", seen, most)
		}
		if g.passes(row[0], c.tag) {
			return nil
		}
		text, err := literalOf(row[0], kind)
		if err != nil {
			return err
		}
		if bad = append(bad, text); int64(len(bad)) > min(most, badValuesMax) {
			return limits.Over("validate_distinct", int64(len(bad)), min(most, badValuesMax))
		}
		return nil
	})
	if err != nil {
		return err
	}
	slices.Sort(bad)
	c.passes = "TRUE"
	if len(bad) > 0 {
		c.passes = col + " NOT IN (" + strings.Join(bad, ", ") + ")"
	}
	if _, required := withoutRequired(c.tag); required {
		c.passes = "(" + col + " IS NOT NULL AND " + c.passes + ")"
	} else {
		c.passes = "(" + col + " IS NULL OR " + c.passes + ")"
	}
	return nil
}

// badValuesMax bounds the failing values that are written into one statement.
const badValuesMax = 200_000

// literalOf writes a value of a row as SQL.
func literalOf(v any, kind valueKind) (string, error) {
	switch x := v.(type) {
	case string:
		return quoteString(x), nil
	case int64:
		return "CAST('" + strconv.FormatInt(x, 10) + "' AS BIGINT)", nil
	case bool:
		return strconv.FormatBool(x), nil
	case float64:
		return floatLiteral(x, 64, "DOUBLE"), nil
	case float32:
		return floatLiteral(float64(x), 32, "FLOAT"), nil
	}
	return "", fmt.Errorf("%w: a value of type %T (%d) cannot be validated", errConfig, v, kind)
}

func floatLiteral(f float64, bits int, name string) string {
	text := strconv.FormatFloat(f, 'g', -1, bits)
	if math.IsInf(f, 0) {
		text = strings.Replace(text, "Inf", "infinity", 1)
	}
	return "CAST('" + text + "' AS " + name + ")"
}

// judgedSQL adds the verdicts of the rules to candidate rows. base gives the columns of the candidates and
// colReason, colInfo and colRaw; rows with a reason are not judged.
func judgedSQL(base string, conditions []condition) string {
	verdict := func(onFail string) string {
		var parts []string
		for _, c := range conditions {
			if c.onFail == onFail {
				parts = append(parts, "CASE WHEN NOT ("+c.passes+") THEN "+quoteString(c.name)+" END")
			}
		}
		if len(parts) == 0 {
			return "''"
		}
		return "CASE WHEN " + colReason + " IS NULL THEN concat_ws(',', " + strings.Join(parts, ", ") + ") ELSE '' END"
	}
	return "SELECT *, " + verdict(onFailQuarantine) + " AS " + colQuarantine + ", " + verdict(onFailDrop) + " AS " + colDrop + ", " +
		verdict(onFailWarn) + " AS " + colWarn + ", " + verdict(onFailFail) + " AS " + colFail + " FROM " + bodyOf(base) + " AS b"
}

// verdicts is what judging found, in rows.
type verdicts struct {
	in, accepted, rejected, dropped int64
	reasons                         map[string]int64
	rules                           map[string]int64 // failures by rule
	extra                           []int64          // sums of what the caller asked for
}

// count sums up judged rows. extra are aggregates over them, such as "count(_rescued)".
func (t *task) count(ctx context.Context, judged string, extra ...string) (*verdicts, error) {
	v := &verdicts{reasons: map[string]int64{}, rules: map[string]int64{}, extra: make([]int64, len(extra))}
	columns := []string{colReason, colQuarantine, colDrop, colWarn, colFail, "count(*)"}
	for _, e := range extra {
		columns = append(columns, "CAST("+e+" AS BIGINT)")
	}
	sql := "SELECT " + strings.Join(columns, ", ") + " FROM " + bodyOf(judged) + " AS j GROUP BY 1, 2, 3, 4, 5"
	err := t.r.eachRow(ctx, t.query(sql), func(row []any) error {
		n, _ := row[5].(int64)
		v.in += n
		reason, _ := row[0].(string)
		quarantine, _ := row[1].(string)
		drop, _ := row[2].(string)
		switch {
		case row[0] != nil:
			v.reasons[reason] += n
			v.rejected += n
		case quarantine != "":
			v.rejected += n
		case drop != "":
			v.dropped += n
		default:
			v.accepted += n
		}
		for _, list := range row[1:5] {
			text, _ := list.(string)
			for _, name := range strings.Split(text, ",") {
				if name != "" {
					v.rules[name] += n
				}
			}
		}
		for i := range extra {
			x, _ := row[6+i].(int64)
			v.extra[i] += x
		}
		return nil
	})
	return v, err
}

// verdict puts what was found into the report and stops the task when a rule or the breaker says so.
func (t *task) verdict(v *verdicts) error {
	t.rep.RowsIn, t.rep.RowsQuarantine, t.rep.RowsDropped = v.in, v.rejected, v.dropped
	var stop []string
	for _, x := range t.s.m.table.rules {
		n := v.rules[x.name]
		if n == 0 {
			continue
		}
		t.rep.Rules = append(t.rep.Rules, RuleReport{Rule: x.name, OnFail: x.onFail, Rows: n})
		if x.onFail == onFailFail {
			stop = append(stop, fmt.Sprintf("%s (%d rows)", x.name, n))
		}
	}
	if len(stop) > 0 {
		return fmt.Errorf("%w: rules with on_fail: fail: %s", ErrCheckFailed, strings.Join(stop, ", "))
	}
	if why := t.s.m.table.breaker.trips(v.rejected, v.in); why != "" {
		return fmt.Errorf("%w: breaker: %s", ErrCheckFailed, why)
	}
	return nil
}
