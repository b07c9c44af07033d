package duckdb

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/lakectl/lakectl/table"
)

// tree is the syntax tree of one SELECT, as json_serialize_sql writes it. Nodes are JSON objects.
type tree struct {
	session *session
	root    map[string]any // {"node": …} of the only statement
}

// node is one object of the tree.
type node = map[string]any

// parse reads one SELECT without binding it: nothing that it names needs to exist.
// Errors: *table.SQLError.
func (s *session) parse(ctx context.Context, sql string) (*tree, error) {
	if i := strings.IndexByte(sql, 0); i >= 0 {
		return nil, &table.SQLError{SQL: sql, Message: "NUL character in SQL text", Offset: i}
	}
	text, err := s.engine.trees.of(sql, func() (string, error) {
		return s.one(ctx, "SELECT CAST(json_serialize_sql("+table.QuoteString(sql)+") AS VARCHAR)")
	})
	if err != nil {
		return nil, shift(err, sql, len(sql)+1) // offsets of our own statement mean nothing
	}
	var reply struct {
		Error      bool             `json:"error"`
		Type       string           `json:"error_type"`
		Message    string           `json:"error_message"`
		Position   string           `json:"position"`
		Statements []map[string]any `json:"statements"`
	}
	if err := decodeNumbers(text, &reply); err != nil {
		return nil, &table.SQLError{SQL: sql, Message: "statement cannot be analysed", Offset: -1}
	}
	if reply.Error {
		e := &table.SQLError{SQL: sql, Message: firstLine(reply.Message), Offset: -1}
		if reply.Type == "not implemented" {
			e.Message = "only a SELECT can stand here"
		}
		if n, err := strconv.Atoi(reply.Position); err == nil && n >= 0 && n <= len(sql) {
			e.Offset = n
		}
		return nil, e
	}
	if len(reply.Statements) != 1 {
		return nil, &table.SQLError{SQL: sql, Message: "exactly one SELECT is expected", Offset: -1}
	}
	t := &tree{session: s, root: reply.Statements[0]}
	if n, ok := t.root["named_param_map"].([]any); ok && len(n) > 0 {
		return nil, &table.SQLError{SQL: sql, Message: "parameters ($1, ?) have no values here", Offset: -1}
	}
	return t, nil
}

// decodeNumbers decodes JSON with numbers kept as they are written: locations use all 64 bits.
func decodeNumbers(text string, into any) error {
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.UseNumber()
	return d.Decode(into)
}

// text writes the tree as SQL.
func (t *tree) text(ctx context.Context) (string, error) {
	return t.session.deserialize(ctx, t.root)
}

// deserialize writes one statement as SQL.
func (s *session) deserialize(ctx context.Context, statement node) (string, error) {
	encoded, err := json.Marshal(node{"error": false, "statements": []any{statement}})
	if err != nil {
		return "", err
	}
	return s.engine.texts.of(string(encoded), func() (string, error) {
		return s.one(ctx, "SELECT json_deserialize_sql("+table.QuoteString(string(encoded))+"::JSON)")
	})
}

// ref is one place where a statement names a table.
type ref struct {
	node                  node
	catalog, schema, name string
	at                    string // as TableRef.At
	location              int    // byte offset in the SQL text
}

// fullName is the name without quotes.
func (r *ref) fullName() string {
	name := r.name
	if r.schema != "" {
		name = r.schema + "." + name
	}
	if r.catalog != "" {
		name = r.catalog + "." + name
	}
	return name
}

func (r *ref) key() string { return table.TableRef{Name: r.fullName(), At: r.at}.Key() }

// refs lists the places that name tables, in order of appearance. Names of CTEs are not tables where they are in
// scope.
func (t *tree) refs(ctx context.Context) ([]*ref, error) {
	var found []*ref
	collectRefs(t.root, nil, &found)
	slices.SortStableFunc(found, func(a, b *ref) int { return a.location - b.location })
	for _, r := range found {
		clause, ok := r.node["at_clause"].(node)
		if !ok {
			continue
		}
		text, err := t.expression(ctx, clause["expr"])
		if err != nil {
			return nil, err
		}
		unit, _ := clause["unit"].(string)
		r.at = unit + " => " + text
	}
	return found, nil
}

// collectRefs walks the tree with the CTE names in scope, lower case.
func collectRefs(v any, scope []string, found *[]*ref) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			collectRefs(e, scope, found)
		}
	case node:
		scope = collectCTEs(v, scope, found)
		if v["type"] == "BASE_TABLE" {
			addRef(v, scope, found)
			return
		}
		for _, k := range slices.Sorted(maps.Keys(v)) {
			if k != "cte_map" {
				collectRefs(v[k], scope, found)
			}
		}
	}
}

// collectCTEs walks the WITH queries of a node and returns the scope of the rest of it. A query sees the ones before
// it, and itself when it is recursive: a plain `WITH t AS (SELECT * FROM t)` reads the table t.
func collectCTEs(n node, scope []string, found *[]*ref) []string {
	ctes, _ := n["cte_map"].(node)
	entries, _ := ctes["map"].([]any)
	for _, e := range entries {
		entry, _ := e.(node)
		name, _ := entry["key"].(string)
		value, _ := entry["value"].(node)
		query, _ := value["query"].(node)
		body, _ := query["node"].(node)
		inner := scope
		if body["type"] == "RECURSIVE_CTE_NODE" {
			inner = append(slices.Clone(scope), strings.ToLower(name))
		}
		collectRefs(query, inner, found)
		scope = append(slices.Clone(scope), strings.ToLower(name))
	}
	return scope
}

func addRef(n node, scope []string, found *[]*ref) {
	r := &ref{node: n}
	r.catalog, _ = n["catalog_name"].(string)
	r.schema, _ = n["schema_name"].(string)
	r.name, _ = n["table_name"].(string)
	if r.catalog == "" && r.schema == "" && slices.Contains(scope, strings.ToLower(r.name)) {
		return
	}
	if number, ok := n["query_location"].(json.Number); ok {
		if at, err := strconv.Atoi(number.String()); err == nil {
			r.location = at
		}
	}
	*found = append(*found, r)
}

// expression writes one expression as SQL.
func (t *tree) expression(ctx context.Context, expr any) (string, error) {
	text, err := t.session.deserialize(ctx, node{"named_param_map": []any{}, "node": node{
		"type": "SELECT_NODE", "modifiers": []any{}, "cte_map": node{"map": []any{}}, "select_list": []any{expr},
		"from_table":   node{"type": "EMPTY", "alias": "", "sample": nil, "query_location": 0},
		"where_clause": nil, "group_expressions": []any{}, "group_sets": []any{},
		"aggregate_handling": "STANDARD_HANDLING", "having": nil, "sample": nil, "qualify": nil,
	}})
	return strings.TrimPrefix(text, "SELECT "), err
}

// walk visits every object of the tree.
func walk(v any, visit func(node)) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			walk(e, visit)
		}
	case node:
		visit(v)
		for _, k := range slices.Sorted(maps.Keys(v)) {
			walk(v[k], visit)
		}
	}
}

// functions lists the names of all functions called, lower case, sorted, once each. Operators are not functions.
func (t *tree) functions() []string {
	names := map[string]bool{}
	walk(t.root, func(n node) {
		name, _ := n["function_name"].(string)
		if operator, _ := n["is_operator"].(bool); name != "" && !operator && !strings.HasPrefix(name, "~") && !strings.HasPrefix(name, "!") {
			names[strings.ToLower(name)] = true
		}
	})
	return slices.Sorted(maps.Keys(names))
}

// tableFunctions lists the functions that stand in FROM, lower case.
func (t *tree) tableFunctions() []string {
	var names []string
	walk(t.root, func(n node) {
		if n["type"] != "TABLE_FUNCTION" {
			return
		}
		f, _ := n["function"].(node)
		name, _ := f["function_name"].(string)
		names = append(names, strings.ToLower(name))
	})
	return names
}

// shows tells whether the statement lists what the database holds: SHOW TABLES and its like.
func (t *tree) shows() bool {
	found := false
	walk(t.root, func(n node) {
		found = found || (n["type"] == "SHOW_REF" && n["query"] == nil)
	})
	return found
}

// rowWise tells whether every output row depends on one row of each table only.
func (t *tree) rowWise(aggregates map[string]bool) bool {
	ok := true
	walk(t.root, func(n node) { ok = ok && rowWiseNode(n, aggregates) })
	return ok
}

func rowWiseNode(n node, aggregates map[string]bool) bool {
	if n["sample"] != nil {
		return false
	}
	switch n["type"] {
	case "SELECT_NODE":
		return empty(n["group_expressions"]) && empty(n["group_sets"]) && n["having"] == nil && n["qualify"] == nil &&
			n["aggregate_handling"] == "STANDARD_HANDLING"
	case "SET_OPERATION_NODE":
		return n["setop_type"] == "UNION" && n["setop_all"] == true
	case "LIMIT_MODIFIER", "LIMIT_PERCENT_MODIFIER", "DISTINCT_MODIFIER", "RECURSIVE_CTE_NODE", "PIVOT", "SHOW_REF":
		return false
	case "JOIN":
		return n["ref_type"] != "POSITIONAL" && n["ref_type"] != "ASOF"
	}
	switch n["class"] {
	case "WINDOW":
		return false
	case "FUNCTION":
		name, _ := n["function_name"].(string)
		return !aggregates[strings.ToLower(name)]
	}
	return true
}

func empty(v any) bool {
	list, ok := v.([]any)
	return !ok || len(list) == 0
}
