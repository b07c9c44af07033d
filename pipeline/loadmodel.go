package pipeline

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// The choices of from and on_source_delete.
const (
	modeChanges = "changes"
	modePinned  = "pinned"

	deleteFail      = "fail"
	deleteIgnore    = "ignore"
	deleteRecompute = "recompute"
)

// querySpec is a model of SQL, resolved.
type querySpec struct {
	sql            string // below the front matter; macros are not expanded yet
	line           int    // of its first byte in the file, from 1
	from           map[string]string
	key            []string
	sequence       []string
	notStored      []string
	onSourceDelete string
	allowEmpty     bool
	timed          bool     // asks for @as_of or @run_id
	tables         []string // sorted; known once the graph is
	canonical      string   // syntax tree; known once the graph is
}

const (
	frontOpen  = "/* @lake"
	frontClose = "@lake */"
)

// splitFront separates front matter and SQL. Lines of front keep their numbers.
func splitFront(text string) (front, sql string, line int, why string) {
	rest, ok := strings.CutPrefix(text, frontOpen)
	if !ok {
		return "", "", 1, "a model begins with " + frontOpen + " … " + frontClose
	}
	front, sql, ok = strings.Cut(rest, frontClose)
	if !ok {
		return "", "", 1, "the front matter is not closed by " + frontClose
	}
	first, _, _ := strings.Cut(front, "\n")
	if strings.TrimSpace(first) != "" {
		return "", "", 1, frontOpen + " must stand alone on its line"
	}
	if strings.Contains(front, "*/") {
		return "", "", 1, "the front matter cannot contain */"
	}
	return front[len(first):], sql, 1 + strings.Count(front, "\n"), ""
}

// query reads a model file into m.
func (l *loader) query(m *Model, text []byte) {
	front, sql, line, why := splitFront(strings.ReplaceAll(string(text), "\r\n", "\n"))
	if why != "" {
		l.problems.add(Problem{File: m.File, Line: line, Column: 1, Code: CodeMissingKey, Message: why})
		return
	}
	var f modelFile
	d := decodeYAML(m.File, []byte(front), &f, &l.problems, l.expand)
	s := &querySpec{
		sql: sql, line: line, from: f.From, key: f.Key, sequence: f.SequenceBy, notStored: f.NotStored,
		onSourceDelete: orText(f.OnSourceDelete, deleteRecompute), allowEmpty: f.AllowEmpty != nil && *f.AllowEmpty,
	}
	m.Kind, m.query = Kind(f.Kind), s
	if strings.TrimSpace(sql) == "" {
		l.problems.add(Problem{File: m.File, Line: line, Column: 1, Code: CodeMissingKey, Message: "there is no SELECT"})
	}
	switch f.Kind {
	case "merge":
		l.merge(d, f)
	case "full":
		l.full(d, f)
	case "append", "scd2", "interval", "view":
		d.problem("kind", CodeBadValue, "not supported yet in this version: %s", f.Kind)
	}
	l.tableRules(m, d, f.tableSpec)
	if m.Kind == KindFull && d.has("quarantine") && !canReject(m.table.rules) {
		d.at(d.keys["quarantine"], "quarantine", CodeNoEffect, "no rule can reject a row")
	}
}

// canReject tells whether a rule can keep a row out of the table.
func canReject(rules []rule) bool {
	return slices.ContainsFunc(rules, func(r rule) bool { return r.onFail == onFailQuarantine || r.onFail == onFailDrop })
}

func (l *loader) merge(d *decoder, f modelFile) {
	if len(f.Key) == 0 {
		d.problem("key", CodeMissingKey, "kind merge needs the columns that identify a row")
	}
	noEffect(d, f.Kind, "allow_empty")
	if f.OnNewColumns == "add" {
		d.problem("on_new_columns", CodeBadValue, "not supported yet in this version: add")
	}
	for i, c := range f.NotStored {
		key := fmt.Sprintf("not_stored[%d]", i)
		if slices.Contains(f.Key, c) {
			d.problem(key, CodeConflict, "%q is part of the key", c)
		} else if !slices.Contains(f.SequenceBy, c) {
			d.problem(key, CodeNoEffect, "%q orders nothing: it is not in sequence_by", c)
		}
		if slices.Contains(f.PartitionBy, c) {
			d.problem(key, CodeConflict, "%q is in partition_by", c)
		}
	}
	changes := 0
	for _, t := range slices.Sorted(maps.Keys(f.From)) {
		if !isTableName(t) {
			d.problem("from."+t, CodeBadRef, "%q is not a table name", t)
		}
		if f.From[t] == modeChanges {
			changes++
		}
	}
	if changes > 1 {
		d.problem("from", CodeConflict, "only one source can be read by its changes")
	}
}

func (l *loader) full(d *decoder, f modelFile) {
	noEffect(d, f.Kind, "from", "key", "sequence_by", "not_stored", "on_source_delete")
	noEffect(d, f.Kind, "on_new_columns")
}

// noEffect refuses keys that do nothing for this kind.
func noEffect(d *decoder, kind string, keys ...string) {
	for _, key := range keys {
		if d.has(key) {
			d.at(d.keys[key], key, CodeNoEffect, "does nothing for kind %s", kind)
		}
	}
}
