package pipeline

import (
	"encoding/json"
	"fmt"
)

// codeRule is what a rule contributes to the code hash.
type codeRule struct {
	Name   string `json:"name"`
	SQL    string `json:"sql,omitempty"`
	Column string `json:"column,omitempty"`
	Tag    string `json:"tag,omitempty"`
	OnFail string `json:"on_fail"`
}

// codeBody is everything of a model that decides which rows a plan gives. Its JSON is hashed, so a change of field
// names here makes every plan that has not landed obsolete.
type codeBody struct {
	Format    int               `json:"format"`
	Kind      Kind              `json:"kind"`
	SQL       string            `json:"sql,omitempty"` // syntax tree
	From      map[string]string `json:"from,omitempty"`
	Key       []string          `json:"key,omitempty"`
	Sequence  []string          `json:"sequence_by,omitempty"`
	NotStored []string          `json:"not_stored,omitempty"`
	OnDelete  string            `json:"on_source_delete,omitempty"`
	Ingest    any               `json:"ingest,omitempty"`
	Types     map[string]string `json:"types,omitempty"`
	Rules     []codeRule        `json:"rules,omitempty"`
}

// code is the hash of what decides the rows of m: the syntax tree, not comments or layout; front matter that changes
// data; variables. Bounds, texts and checks are not in it.
func (r *Runner) code(m *Model) (string, error) {
	b := codeBody{Format: 1, Kind: m.Kind, Types: map[string]string{}}
	lookup := canonicalMoment().lookup(r.o.Project.vars)
	for name, c := range m.table.columns {
		if c.Type != "" {
			b.Types[name] = c.Type
		}
	}
	for _, x := range m.table.rules {
		sql, _, err := expandSQL(x.sql, lookup)
		if err != nil {
			return "", fmt.Errorf("%w: %s: %w", errConfig, x.where, err)
		}
		b.Rules = append(b.Rules, codeRule{x.name, sql, x.column, x.tag, x.onFail})
	}
	if q := m.query; q != nil {
		if q.canonical == "" {
			return "", fmt.Errorf("%w: the project was loaded without a parser", errConfig)
		}
		b.SQL, b.From, b.Key, b.Sequence, b.NotStored = q.canonical, q.from, q.key, q.sequence, q.notStored
		if m.Kind == KindMerge {
			b.OnDelete = q.onSourceDelete
		}
	}
	if s := m.ingest; s != nil {
		b.Ingest = map[string]any{
			"path_columns": s.pathColumns, "compression": s.compression, "csv": s.csv, "hints": s.hints, "required": s.required,
			"sample": []int{s.sampleFiles, s.sampleRows}, "columns": s.columns, "data_type": s.types, "rescued": s.rescued, "poison": s.poison,
		}
	}
	text, err := json.Marshal(b)
	if err != nil {
		return "", fmt.Errorf("hash the code of %s: %w", m.Name, err)
	}
	return hashOf(text), nil
}
