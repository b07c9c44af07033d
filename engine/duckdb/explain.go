package duckdb

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/lakectl/lakectl/table"
)

// Explain is DuckDB's plan of a SELECT: one line for each step, what feeds it below and farther in, without addresses
// of this machine. Row counts with ~ are guesses. With analyze the SELECT runs, its rows are dropped, and each line says
// how many rows the step made and for how long it worked.
//
// Errors: those of [Engine.Query].
func (e *Engine) Explain(ctx context.Context, q table.Query, analyze bool) (string, error) {
	b, err := e.bind(ctx, q, kind{ordered: true}, "")
	if err != nil {
		return "", err
	}
	defer func() { b.session.close() }()
	verb := "EXPLAIN (FORMAT json) "
	if analyze {
		verb = "EXPLAIN (ANALYZE, FORMAT json) "
	}
	rows, err := b.session.all(ctx, verb+b.sql)
	if err != nil {
		return "", b.located(err, len(verb))
	}
	var text string
	if len(rows) == 1 && len(rows[0]) == 2 {
		text, _ = rows[0][1].(string)
	}
	steps, err := planSteps(text, analyze)
	if err != nil {
		return "", fmt.Errorf("read plan of duckdb: %w", err)
	}
	var out strings.Builder
	for _, s := range steps {
		s.draw(&out, "", "")
	}
	return strings.TrimRight(b.session.readable(b.session.named(out.String())), "\n"), nil
}

// planStep is one step of a plan, as DuckDB writes it down with and without ANALYZE.
type planStep struct {
	Name     string         `json:"name"`
	Operator string         `json:"operator_name"`
	Info     map[string]any `json:"extra_info"`
	Rows     int64          `json:"operator_cardinality"`
	Seconds  float64        `json:"operator_timing"`
	Children []planStep     `json:"children"`
}

func planSteps(text string, analyze bool) ([]planStep, error) {
	if !analyze {
		var steps []planStep
		err := json.Unmarshal([]byte(text), &steps)
		return steps, err
	}
	var root planStep // the statement, and below it EXPLAIN itself
	if err := json.Unmarshal([]byte(text), &root); err != nil {
		return nil, err
	}
	steps := root.Children
	if len(steps) == 1 && steps[0].Operator == "EXPLAIN_ANALYZE" {
		steps = steps[0].Children
	}
	return steps, nil
}

// draw writes the step and what feeds it. first leads its own line, rest those below.
func (s planStep) draw(out *strings.Builder, first, rest string) {
	const guess = "Estimated Cardinality"
	line := []string{s.Name + s.Operator}
	if s.Operator != "" {
		line = append(line, fmt.Sprintf("%d rows", s.Rows), time.Duration(s.Seconds*float64(time.Second)).Round(time.Microsecond).String())
	} else if n, ok := s.Info[guess].(string); ok {
		line = append(line, "~"+n+" rows")
	}
	for _, key := range slices.Sorted(maps.Keys(s.Info)) {
		if key == guess || strings.HasPrefix(key, "Filename") { // files are named for each table, by the names that the table gives them
			continue
		}
		value := s.Info[key]
		if list, ok := value.([]any); ok {
			texts := make([]string, len(list))
			for i, v := range list {
				texts[i] = fmt.Sprint(v)
			}
			value = strings.Join(texts, ", ")
		}
		if text := strings.Join(strings.Fields(fmt.Sprint(value)), " "); text != "" && text != s.Name+s.Operator {
			line = append(line, key+": "+text)
		}
	}
	fmt.Fprintf(out, "%s%s\n", first, strings.Join(line, "   "))
	for i, c := range s.Children {
		if i < len(s.Children)-1 {
			c.draw(out, rest+"├─ ", rest+"│  ")
		} else {
			c.draw(out, rest+"└─ ", rest+"   ")
		}
	}
}
