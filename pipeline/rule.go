package pipeline

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/lakectl/lakectl/internal/config"
	"github.com/lakectl/lakectl/txlog"
)

// Defaults of the breaker.
const (
	DefaultQuarantineRatio   = 0.05
	DefaultQuarantineRows    = 100000
	DefaultQuarantineMinRows = 100
)

// tableRules is what ingest files and models say alike of their table.
type tableRules struct {
	partitionBy []string
	properties  map[string]string
	columns     map[string]columnSpec
	rules       []rule // by name
	breaker     breaker
	checks      []check
}

// rule judges one row. Exactly one of sql and tag is set.
type rule struct {
	name   string
	sql    string // passes when TRUE; macros are not expanded yet
	column string // of tag
	tag    string
	onFail string
	where  string // key in the file: "expect.moves.sql", "columns.origin.validate"
	at     position
}

// breaker bounds what one task may reject.
type breaker struct {
	ratio   float64
	rows    int64
	minRows int64
}

// trips says why rejected of in rows is too much, "" when it is not.
func (b breaker) trips(rejected, in int64) string {
	if rejected > b.rows {
		return fmt.Sprintf("%d rows rejected, over quarantine.max_rows %d", rejected, b.rows)
	}
	if in >= b.minRows && in > 0 && float64(rejected) > b.ratio*float64(in) {
		return fmt.Sprintf("%d of %d rows rejected, over quarantine.max_ratio %s", rejected, in, percent(b.ratio))
	}
	return ""
}

func percent(r float64) string { return strconv.FormatFloat(r*100, 'f', -1, 64) + "%" }

// check judges the table as it would be.
type check struct {
	kind      string // unique, not_null, accepted_values
	columns   []string
	values    []string
	severity  string // fail, warn
	threshold string // max_failures as written
	maxRows   int64
	maxRatio  float64 // used when ratioed
	ratioed   bool
	where     string // key in the file
}

// name is what reports call the check.
func (c check) name() string { return c.kind + "(" + strings.Join(c.columns, ", ") + ")" }

// allows tells whether failures of rows stay within max_failures.
func (c check) allows(failures, rows int64) bool {
	if c.ratioed {
		return float64(failures) <= c.maxRatio*float64(rows)
	}
	return failures <= c.maxRows
}

// tableRules resolves the shared keys of m; problems go to d.
func (l *loader) tableRules(m *Model, d *decoder, s tableSpec) {
	m.Description, m.Owner, m.Tags = s.Description, s.Owner, s.Tags
	m.Enabled = s.Enabled == nil || *s.Enabled
	if s.Engine == "spark" {
		d.problem("engine", CodeBadValue, "not supported yet in this version: spark")
	}
	for name := range s.Properties {
		if strings.EqualFold(name, "delta.setTransactionRetentionDuration") {
			d.problem("properties."+name, CodeBadValue, "would let the table forget what was loaded")
		}
	}
	t := tableRules{partitionBy: s.PartitionBy, properties: s.Properties, columns: s.Columns}
	names := map[string]string{}
	add := func(r rule) {
		if other, ok := names[r.name]; ok {
			d.problem(r.where, CodeConflict, "the rule %q is given by %s already", r.name, other)
			return
		}
		names[r.name] = r.where
		r.at = d.values[r.where]
		t.rules = append(t.rules, r)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Expect)) {
		e, key := s.Expect[name], "expect."+name
		r := rule{name: name, sql: string(e.SQL), column: e.Column, tag: e.Validate, onFail: orText(e.OnFail, onFailQuarantine), where: key}
		switch {
		case r.sql != "" && (r.column != "" || r.tag != ""):
			d.problem(key, CodeConflict, "say sql, or column and validate")
			continue
		case r.sql == "" && (r.column == "" || r.tag == ""):
			d.problem(key, CodeMissingKey, "needs sql, or column and validate")
			continue
		case r.tag != "":
			l.tag(d, key+".validate", r.tag, s.Columns[r.column].Type)
			r.where += ".validate"
		default:
			r.where += ".sql"
		}
		add(r)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Columns)) {
		c, key := s.Columns[name], "columns."+name+".validate"
		if !isColumnName(name) {
			d.problem("columns."+name, CodeBadValue, "%q is not a column name", name)
		}
		if c.Validate.Tag == "" {
			continue
		}
		where := key
		if d.has(key + ".tag") {
			where = key + ".tag"
		}
		l.tag(d, where, c.Validate.Tag, c.Type)
		add(rule{name: name, column: name, tag: c.Validate.Tag, onFail: orText(c.Validate.OnFail, onFailQuarantine), where: where})
	}
	slices.SortFunc(t.rules, func(a, b rule) int { return cmp.Compare(a.name, b.name) })
	t.breaker = resolveBreaker(s.Quarantine)
	for i, c := range s.Checks {
		if r, ok := resolveCheck(d, fmt.Sprintf("checks[%d]", i), c); ok {
			t.checks = append(t.checks, r)
		}
	}
	m.table = t
}

// tag checks a validate tag as far as the declared type of its column allows.
func (l *loader) tag(d *decoder, key, tag, typeText string) {
	var t *txlog.DataType
	if typeText != "" {
		t, _ = txlog.ParseType(typeText)
	}
	if why := checkTag(tag, t); why != "" {
		d.problem(key, CodeBadValue, "%s", why)
	}
}

func resolveBreaker(s breakerSpec) breaker {
	b := breaker{ratio: DefaultQuarantineRatio, rows: DefaultQuarantineRows, minRows: DefaultQuarantineMinRows}
	if s.MaxRatio != nil {
		b.ratio = float64(*s.MaxRatio)
	}
	if s.MaxRows != nil {
		b.rows = int64(*s.MaxRows)
	}
	if s.MinRows != nil {
		b.minRows = int64(*s.MinRows)
	}
	return b
}

// resolveCheck turns one item of checks into a check.
func resolveCheck(d *decoder, key string, s checkSpec) (check, bool) {
	var c check
	n := 0
	set := func(kind string, columns []string, severity string, most rawText) {
		n++
		c.kind, c.columns, c.severity, c.threshold = kind, columns, orText(severity, onFailFail), orText(string(most), "0")
		c.where = key + "." + kind
	}
	if s.Unique != nil {
		set("unique", s.Unique.Columns, s.Unique.Severity, s.Unique.MaxFailures)
	}
	if s.NotNull != nil {
		set("not_null", s.NotNull.Columns, s.NotNull.Severity, s.NotNull.MaxFailures)
	}
	if s.AcceptedValues != nil {
		set("accepted_values", []string{s.AcceptedValues.Column}, s.AcceptedValues.Severity, s.AcceptedValues.MaxFailures)
		for _, v := range s.AcceptedValues.Values {
			c.values = append(c.values, string(v))
		}
	}
	if n != 1 {
		if n > 1 {
			d.problem(key, CodeConflict, "one item holds one check")
		} else if !hasBelow(d, key) {
			d.problem(key, CodeMissingKey, "names no check; there are unique, not_null, accepted_values")
		}
		return c, false
	}
	if i, err := strconv.ParseInt(c.threshold, 10, 64); err == nil && i >= 0 {
		c.maxRows = i
		return c, true
	}
	r, err := config.ParseRatio(c.threshold)
	if err != nil {
		d.problem(c.where+".max_failures", CodeBadValue, "%q is neither a count nor a ratio such as 2%%", c.threshold)
		return c, false
	}
	c.maxRatio, c.ratioed = r, true
	return c, true
}

// hasBelow tells whether the file gives any key below this one, be it a wrong one.
func hasBelow(d *decoder, key string) bool {
	for k := range d.keys {
		if strings.HasPrefix(k, key+".") {
			return true
		}
	}
	return false
}
