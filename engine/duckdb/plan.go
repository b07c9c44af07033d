package duckdb

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// disabledOptimizers are the steps of DuckDB's optimiser that would draw conclusions from the tables being empty here
// (statistics), and those that hide a condition or add a scan without one. As few as possible: other combinations
// make the optimiser fail on plain CTEs.
const disabledOptimizers = "statistics_propagation,empty_result_pullup,in_clause,late_materialization," +
	"join_filter_pushdown,sampling_pushdown,row_group_pruner,limit_pushdown,top_n,top_n_window_elimination"

// scan is what one scan of the optimised plan reads of a table.
type scan struct {
	columns   map[string]bool
	predicate *txlog.Predicate // nil: no condition
}

// scans reads columns and predicate of each table out of the optimised plan. A table that is read in several places
// has the columns of all of them, and the predicate that one of them holds.
//
// The plan is the optimiser's: it has pushed conditions through views, CTEs and joins as far as SQL allows, and its
// constants are typed in the zone of the session. What we cannot judge becomes OpUnknown. now() is a constant of the
// moment of planning.
func (a *analysis) scans(ctx context.Context) error {
	plan, err := a.plan(ctx)
	if err != nil {
		return err
	}
	for i, p := range a.places {
		t := &a.statement.Tables[i]
		t.Columns = []string{}
		if plan == nil { // not a plan that can be read: everything may be used
			t.Columns = a.schemas[i].Names()
			continue
		}
		found := scansOf(plan, p, a.schemas[i])
		var predicates []*txlog.Predicate
		for _, f := range a.schemas[i].Fields {
			if slices.ContainsFunc(found, func(s scan) bool { return s.columns[f.Name] }) {
				t.Columns = append(t.Columns, f.Name)
				if err := unreadable(f.Type); err != nil {
					return fmt.Errorf("table %s: column %s: %w", p.ref.key(), f.Name, err)
				}
			}
		}
		for _, s := range found {
			predicates = append(predicates, s.predicate)
		}
		t.Predicate = either(predicates)
	}
	return nil
}

// plan is the optimised plan; nil when DuckDB cannot write it down.
func (a *analysis) plan(ctx context.Context) (any, error) {
	rows, err := a.session.all(ctx, "SELECT CAST(json_serialize_plan("+table.QuoteString(a.sql)+", optimize := true) AS VARCHAR)")
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, nil //nolint:nilerr // the statement is bound already, only its plan cannot be written
	}
	var reply struct {
		Error bool  `json:"error"`
		Plans []any `json:"plans"`
	}
	text, _ := rows[0][0].(string)
	if err := decodeNumbers(text, &reply); err != nil || reply.Error || len(reply.Plans) != 1 {
		return nil, nil //nolint:nilerr // the same
	}
	return reply.Plans[0], nil
}

// either is true where one of the predicates is; nil when any of them is nil or there are none.
func either(predicates []*txlog.Predicate) *txlog.Predicate {
	if len(predicates) == 0 || slices.Contains(predicates, nil) {
		return nil
	}
	if len(predicates) == 1 {
		return predicates[0]
	}
	return &txlog.Predicate{Op: txlog.OpOr, Args: predicates}
}

// scansOf finds the scans of one table.
func scansOf(plan any, p *place, schema *txlog.Schema) []scan {
	var found []scan
	walkPlan(plan, nil, func(get node, filters []any) {
		data, _ := get["function_data"].(node)
		catalog, _ := data["catalog"].(string)
		name, _ := data["schema"].(string)
		title, _ := data["table"].(string)
		if !strings.EqualFold(title, p.name) || !strings.EqualFold(name, or(p.schema, "main")) ||
			!strings.EqualFold(catalog, or(p.catalog, "memory")) {
			return
		}
		g := &scanReader{schema: schema}
		found = append(found, g.read(get, filters))
	})
	return found
}

func or(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}

// walkPlan visits every scan, with the conditions of a filter that stands directly above it.
func walkPlan(v any, filters []any, visit func(get node, filters []any)) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			walkPlan(e, filters, visit)
		}
	case node:
		if v["type"] == "LOGICAL_GET" {
			visit(v, filters)
		}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			var above []any
			if key == "children" && v["type"] == "LOGICAL_FILTER" {
				above, _ = v["expressions"].([]any)
			}
			walkPlan(v[key], above, visit)
		}
	}
}

// scanReader turns one LOGICAL_GET into a scan.
type scanReader struct {
	schema *txlog.Schema
	output [][]string // the column of each output of the scan, as a path; nil: something else

	negated int // NOTs around the expression that is read
}

func (r *scanReader) read(get node, filters []any) scan {
	s := scan{columns: map[string]bool{}}
	var columns [][]string
	indexes, _ := get["column_indexes"].([]any)
	for _, c := range indexes {
		entry, _ := c.(node)
		f := r.field(entry["index"])
		if f == nil {
			columns = append(columns, nil) // a row id, or count(*) without any column
			continue
		}
		s.columns[f.Name] = true
		if inner, _ := entry["child_indexes"].([]any); len(inner) > 0 {
			columns = append(columns, nil) // what comes out may be a part of the column
			continue
		}
		columns = append(columns, []string{f.Name})
	}
	r.output = columns
	if projected, _ := get["projection_ids"].([]any); len(projected) > 0 {
		r.output = nil
		for _, p := range projected {
			if i, ok := integer(p); ok && i < int64(len(columns)) {
				r.output = append(r.output, columns[i])
			}
		}
	}
	var all []*txlog.Predicate
	tableFilters, _ := get["table_filters"].(node)
	entries, _ := tableFilters["filters"].([]any)
	for _, e := range entries {
		entry, _ := e.(node)
		if f := r.field(entry["key"]); f != nil {
			all = append(all, r.filter(entry["value"], []string{f.Name}, f.Type))
		}
	}
	for _, f := range filters {
		all = append(all, r.expression(f, nil, nil))
	}
	all = slices.DeleteFunc(all, func(p *txlog.Predicate) bool { return p.Op == txlog.OpUnknown })
	if len(all) == 1 {
		s.predicate = all[0]
	} else if len(all) > 1 {
		s.predicate = &txlog.Predicate{Op: txlog.OpAnd, Args: all}
	}
	return s
}

// field is a column of the table by its index; nil for anything else.
func (r *scanReader) field(index any) *txlog.Field {
	i, ok := integer(index)
	if !ok || i >= int64(len(r.schema.Fields)) {
		return nil
	}
	return &r.schema.Fields[i]
}

func integer(v any) (int64, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	i, err := strconv.ParseInt(n.String(), 10, 64)
	return i, err == nil && i >= 0
}

func unknown() *txlog.Predicate { return &txlog.Predicate{Op: txlog.OpUnknown} }

// filter reads a table filter, which is about one column.
func (r *scanReader) filter(v any, column []string, t *txlog.DataType) *txlog.Predicate {
	f, _ := v.(node)
	switch f["filter_type"] {
	case "CONSTANT_COMPARISON":
		return comparison(f["comparison_type"], column, t, f["constant"])
	case "IS_NULL":
		return &txlog.Predicate{Op: txlog.OpIsNull, Column: column}
	case "IS_NOT_NULL":
		return &txlog.Predicate{Op: txlog.OpIsNotNull, Column: column}
	case "CONJUNCTION_AND", "CONJUNCTION_OR":
		children, _ := f["child_filters"].([]any)
		args := make([]*txlog.Predicate, len(children))
		for i, c := range children {
			args[i] = r.filter(c, column, t)
		}
		return conjunction(f["filter_type"] == "CONJUNCTION_OR", args)
	case "OPTIONAL_FILTER":
		return r.filter(f["child_filter"], column, t)
	case "STRUCT_EXTRACT":
		name, _ := f["child_name"].(string)
		inner, path := child(t, column, name)
		if inner == nil {
			return unknown()
		}
		return r.filter(f["child_filter"], path, inner)
	case "IN_FILTER":
		values, _ := f["values"].([]any)
		return in(column, t, values)
	case "EXPRESSION_FILTER":
		return r.expression(f["expr"], column, t)
	}
	return unknown()
}

// child is a field of a struct column.
func child(t *txlog.DataType, column []string, name string) (*txlog.DataType, []string) {
	if t == nil || t.Kind != txlog.KindStruct {
		return nil, nil
	}
	for _, f := range t.Fields {
		if strings.EqualFold(f.Name, name) {
			return f.Type, append(slices.Clone(column), f.Name)
		}
	}
	return nil, nil
}

func conjunction(or bool, args []*txlog.Predicate) *txlog.Predicate {
	op := txlog.OpAnd
	if or {
		op = txlog.OpOr
	}
	if len(args) == 0 {
		return unknown()
	}
	return &txlog.Predicate{Op: op, Args: args}
}

// expression reads a bound expression. With column set, every reference means that column, else an output of the
// scan by position.
func (r *scanReader) expression(v any, column []string, t *txlog.DataType) *txlog.Predicate {
	e, _ := v.(node)
	children, _ := e["children"].([]any)
	switch e["expression_class"] {
	case "BOUND_CONJUNCTION":
		args := make([]*txlog.Predicate, len(children))
		for i, c := range children {
			args[i] = r.expression(c, column, t)
		}
		return conjunction(e["type"] == "CONJUNCTION_OR", args)
	case "BOUND_COMPARISON":
		return r.comparison(e, column, t)
	case "BOUND_REF":
		if path, inner := r.reference(e, column, t); path != nil && inner.Kind == txlog.KindBoolean {
			return &txlog.Predicate{Op: txlog.OpEq, Column: path, Values: []txlog.Literal{{Kind: txlog.KindBoolean, Bool: true}}}
		}
	case "BOUND_FUNCTION":
		name, _ := e["name"].(string)
		if (name == "prefix" || name == "starts_with" || name == "^@") && len(children) == 2 {
			return r.prefix(children, column, t)
		}
	case "BOUND_OPERATOR":
		return r.operator(e, children, column, t)
	}
	return unknown()
}

func (r *scanReader) operator(e node, children []any, column []string, t *txlog.DataType) *txlog.Predicate {
	if len(children) == 0 {
		return unknown()
	}
	path, inner := r.reference(children[0], column, t)
	switch e["type"] {
	case "OPERATOR_NOT":
		r.negated++
		defer func() { r.negated-- }()
		return &txlog.Predicate{Op: txlog.OpNot, Args: []*txlog.Predicate{r.expression(children[0], column, t)}}
	case "OPERATOR_IS_NULL":
		if path != nil {
			return isNull(path)
		}
		return r.null(children[0], column, t)
	case "OPERATOR_IS_NOT_NULL":
		if path != nil {
			return &txlog.Predicate{Op: txlog.OpIsNotNull, Column: path}
		}
	case "COMPARE_IN":
		if path == nil {
			return unknown()
		}
		values := make([]any, 0, len(children))
		for _, c := range children[1:] {
			constant, _ := c.(node)
			values = append(values, constant["value"])
		}
		return in(path, inner, values)
	}
	return unknown()
}

// reference is the column that an expression is, possibly a field inside it; nil for any other expression.
func (r *scanReader) reference(v any, column []string, t *txlog.DataType) ([]string, *txlog.DataType) {
	e, _ := v.(node)
	switch e["expression_class"] {
	case "BOUND_REF":
		if column != nil {
			return column, t
		}
		i, ok := integer(e["index"])
		if !ok || i >= int64(len(r.output)) || r.output[i] == nil {
			return nil, nil
		}
		f, err := r.schema.Lookup(r.output[i][0])
		if err != nil {
			return nil, nil
		}
		return r.output[i], f.Type
	case "BOUND_FUNCTION":
		children, _ := e["children"].([]any)
		if e["name"] != "struct_extract" || len(children) != 2 {
			return nil, nil
		}
		path, inner := r.reference(children[0], column, t)
		key, _ := children[1].(node)
		constant, _ := key["value"].(node)
		name, ok := constant["value"].(string)
		if path == nil || !ok {
			return nil, nil
		}
		inner, path = child(inner, path, name)
		return path, inner
	}
	return nil, nil
}

func (r *scanReader) comparison(e node, column []string, t *txlog.DataType) *txlog.Predicate {
	op := e["type"]
	left, right := e["left"], e["right"]
	path, inner := r.reference(left, column, t)
	if path == nil {
		if path, inner = r.reference(right, column, t); path == nil {
			return unknown()
		}
		right = left
		op = mirrored(op)
	}
	constant, _ := right.(node)
	if constant["expression_class"] != "BOUND_CONSTANT" {
		return unknown()
	}
	return comparison(op, path, inner, constant["value"])
}

func mirrored(op any) any {
	switch op {
	case "COMPARE_LESSTHAN":
		return "COMPARE_GREATERTHAN"
	case "COMPARE_LESSTHANOREQUALTO":
		return "COMPARE_GREATERTHANOREQUALTO"
	case "COMPARE_GREATERTHAN":
		return "COMPARE_LESSTHAN"
	case "COMPARE_GREATERTHANOREQUALTO":
		return "COMPARE_LESSTHANOREQUALTO"
	}
	return op
}

func (r *scanReader) prefix(children []any, column []string, t *txlog.DataType) *txlog.Predicate {
	path, inner := r.reference(children[0], column, t)
	constant, _ := children[1].(node)
	if path == nil || constant["expression_class"] != "BOUND_CONSTANT" {
		return unknown()
	}
	l, ok := literal(inner, constant["value"])
	if !ok || l.Kind != txlog.KindString {
		return unknown()
	}
	return &txlog.Predicate{Op: txlog.OpStartsWith, Column: path, Values: []txlog.Literal{l}}
}

// comparison of a column with a constant.
func comparison(op any, column []string, t *txlog.DataType, constant any) *txlog.Predicate {
	l, ok := literal(t, constant)
	if !ok {
		return unknown()
	}
	ops := map[any]txlog.Op{
		"COMPARE_EQUAL": txlog.OpEq, "COMPARE_NOTEQUAL": txlog.OpNe, "COMPARE_LESSTHAN": txlog.OpLt,
		"COMPARE_LESSTHANOREQUALTO": txlog.OpLe, "COMPARE_GREATERTHAN": txlog.OpGt,
		"COMPARE_GREATERTHANOREQUALTO": txlog.OpGe, "COMPARE_NOT_DISTINCT_FROM": txlog.OpNullSafeEq,
	}
	o, ok := ops[op]
	if !ok {
		return unknown()
	}
	return &txlog.Predicate{Op: o, Column: column, Values: []txlog.Literal{l}}
}

func in(column []string, t *txlog.DataType, values []any) *txlog.Predicate {
	p := &txlog.Predicate{Op: txlog.OpIn, Column: column}
	for _, v := range values {
		l, ok := literal(t, v)
		if !ok {
			return unknown()
		}
		p.Values = append(p.Values, l)
	}
	if len(p.Values) == 0 {
		return unknown()
	}
	return p
}
