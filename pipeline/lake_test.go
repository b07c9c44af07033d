package pipeline_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lakectl/lakectl/engine/duckdb"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/objectstore/file"
	"github.com/lakectl/lakectl/pipeline"
	"github.com/lakectl/lakectl/table"
)

// lake is a project, its landing folder and its warehouse.
type lake struct {
	t         *testing.T
	files     fstest.MapFS
	landing   objectstore.Store
	warehouse objectstore.Store
	scratch   objectstore.Store
	engine    table.Engine
	runs      int
	restart   pipeline.Restart
}

func newEngine(t *testing.T) table.Engine {
	t.Helper()
	e, err := duckdb.Open(duckdb.Options{Threads: 2, MemoryBytes: 1 << 30, TempDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func folder(t *testing.T) objectstore.Store {
	t.Helper()
	s, err := file.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newLake(t *testing.T, files map[string]string) *lake {
	t.Helper()
	l := &lake{t: t, files: fstest.MapFS{}, landing: folder(t), warehouse: folder(t), scratch: folder(t), engine: newEngine(t)}
	l.write("lake.yml", `version: 1
project: flights
environments:
  test: {warehouse: "file:///lake"}
`)
	l.write("pipelines/p/pipeline.yml", "timezone: America/Chicago\n")
	for name, text := range files {
		l.write("pipelines/p/"+name, text)
	}
	return l
}

func (l *lake) write(name, text string) { l.files[name] = &fstest.MapFile{Data: []byte(text)} }

// land puts a landing file.
func (l *lake) land(key, text string) {
	l.t.Helper()
	if _, err := l.landing.Put(l.t.Context(), key, objectstore.Bytes([]byte(text)), objectstore.Condition{}); err != nil {
		l.t.Fatal(err)
	}
}

func zipped(text string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(text))
	_ = z.Close()
	return b.String()
}

func (l *lake) runner(warehouse objectstore.Store) (*pipeline.Runner, error) {
	p, err := pipeline.Load(l.t.Context(), fs.FS(l.files), pipeline.LoadOptions{Dir: "/project", Parser: l.engine})
	if err != nil {
		return nil, err
	}
	return pipeline.NewRunner(pipeline.Options{
		Project: p, Store: warehouse, Engine: l.engine, Scratch: l.scratch,
		OpenStore: func(context.Context, string) (objectstore.Store, error) { return l.landing, nil },
	})
}

var asOf = time.Date(2001, 3, 1, 8, 0, 0, 0, time.UTC)

// try runs the pipeline over a warehouse.
func (l *lake) try(warehouse objectstore.Store) (*pipeline.RunReport, error) {
	return l.tryWith(l.t.Context(), warehouse)
}

func (l *lake) tryWith(ctx context.Context, warehouse objectstore.Store) (*pipeline.RunReport, error) {
	l.runs++
	r, err := l.runner(warehouse)
	if err != nil {
		return nil, err
	}
	return r.Run(ctx, pipeline.RunRequest{Run: fmt.Sprintf("p/manual-%d", l.runs), Pipeline: "p", AsOf: asOf, Restart: l.restart})
}

// run runs the pipeline and expects it to end like this: "silver.flights ok +3 ~0 -0", one line for each task.
func (l *lake) run(want ...string) *pipeline.RunReport {
	l.t.Helper()
	rep, err := l.try(l.warehouse)
	if err != nil {
		l.t.Fatal(err)
	}
	// Models that do not depend on each other end in any order; that of the wanted lines is as good as any.
	at := func(task *pipeline.TaskReport) int {
		return slices.IndexFunc(want, func(w string) bool { return strings.HasPrefix(w, task.Model+" ") })
	}
	slices.SortStableFunc(rep.Tasks, func(a, b *pipeline.TaskReport) int { return at(a) - at(b) })
	var got []string
	for _, task := range rep.Tasks {
		line := fmt.Sprintf("%s %s", task.Model, task.Status)
		if task.Status == pipeline.StatusOK || task.Status == pipeline.StatusWarned {
			line += fmt.Sprintf(" +%d ~%d -%d", task.RowsAdded, task.RowsUpdated, task.RowsDeleted)
		}
		for _, n := range []struct {
			name string
			n    int64
		}{{"superseded", task.RowsSuperseded}, {"quarantine", task.RowsQuarantine}, {"rescued", task.RowsRescued}, {"poison", task.FilesPoison}, {"dropped", task.RowsDropped}, {"late", task.RowsLate}} {
			if n.n != 0 {
				line += fmt.Sprintf(" %s %d", n.name, n.n)
			}
		}
		if task.Error != "" {
			line += " " + string(task.ErrorClass)
			l.t.Logf("%s: %s", task.Model, task.Error)
		}
		if task.Reason != "" && task.Status == pipeline.StatusSkipped {
			line += " (" + task.Reason + ")"
		}
		got = append(got, line)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		l.t.Errorf("run (-want +got):\n%s", diff)
	}
	return rep
}

// rows runs SQL over one table, as sql's t; one line for each row.
func (l *lake) rows(name, sql string) []string { return rowsOf(l.t, l.engine, l.warehouse, name, sql) }

func rowsOf(t *testing.T, engine table.Engine, warehouse objectstore.Store, name, sql string) []string {
	t.Helper()
	path, _ := pipeline.TablePath(name)
	tab, err := table.Open(t.Context(), warehouse, path)
	if err != nil {
		t.Fatal(err)
	}
	rel, _, err := tab.Relation(t.Context(), table.ScanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	rows, err := engine.Query(t.Context(), table.Query{SQL: sql, Relations: map[string]table.Relation{"t": rel}, TimeZone: "UTC"})
	if err != nil {
		t.Fatal(err)
	}
	out := []string{}
	for row, err := range rows.All {
		if err != nil {
			t.Fatal(err)
		}
		parts := make([]string, len(row))
		for i, v := range row {
			switch x := v.(type) {
			case nil:
				parts[i] = "NULL"
			case time.Time:
				parts[i] = x.Format("2006-01-02 15:04:05")
			default:
				parts[i] = fmt.Sprint(x)
			}
		}
		out = append(out, strings.Join(parts, "|"))
	}
	if err := rows.Close(); err != nil {
		t.Fatal(err)
	}
	return out
}

func (l *lake) want(name, sql string, want ...string) {
	l.t.Helper()
	if diff := cmp.Diff(slices.Clone(want), l.rows(name, sql)); diff != "" {
		l.t.Errorf("%s: %s (-want +got):\n%s", name, sql, diff)
	}
}

func readAll(t *testing.T, rc io.ReadCloser) string {
	t.Helper()
	b, err := io.ReadAll(rc)
	if err != nil {
		t.Fatal(err)
	}
	if err := rc.Close(); err != nil {
		t.Fatal(err)
	}
	return string(b)
}
