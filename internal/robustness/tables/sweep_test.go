package tables_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lakectl/lakectl/engine/duckdb"
	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/internal/faultstore"
	"github.com/lakectl/lakectl/internal/robustness/ledger"
	"github.com/lakectl/lakectl/internal/robustness/logops"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/objectstore/mem"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// bench is an engine, and a table with four rows in two files at version 2.
type bench struct {
	eng *duckdb.Engine
}

func (b *bench) options(seed uint64) table.Options {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	return table.Options{Log: txlog.Options{Clock: clock.NewStepping(now), Rand: clock.SeededRand(seed)}}
}

func (b *bench) open(ctx context.Context, s objectstore.Store, seed uint64) (*table.Table, error) {
	return table.Open(ctx, s, "t", b.options(seed))
}

func values(rows string) table.Query {
	return table.Query{SQL: "SELECT * FROM (VALUES " + rows + ") v(id, name)"}
}

// features are those of a table whose rows have ids, whose changes can be read, whose commits have times that rise,
// and whose layout follows a column.
func features() table.Create {
	return table.Create{ClusterBy: []string{"id"}, Properties: map[string]string{
		txlog.RowTrackingKey: "true", "delta.enableChangeDataFeed": "true", "delta.enableInCommitTimestamps": "true",
	}}
}

func (b *bench) prepare(ctx context.Context, s objectstore.Store, like table.Create) error {
	schema, err := txlog.ParseColumns("id bigint, name string")
	if err != nil {
		return err
	}
	like.Schema = schema
	t, err := table.CreateTable(ctx, s, "t", like, b.options(90))
	if err != nil {
		return err
	}
	for _, rows := range []string{"(1, 'a'), (2, 'b')", "(11, 'k'), (12, 'l')"} {
		if _, err := t.Append(ctx, b.eng, table.Append{Source: values(rows)}); err != nil {
			return err
		}
	}
	// What a writer that died left behind: vacuum has something to do.
	_, err = s.Put(ctx, "t/part-orphan.parquet", objectstore.Bytes([]byte("orphan")), objectstore.CreateOnly)
	return err
}

// state is the rows, and a table that fsck finds sound.
func (b *bench) state(ctx context.Context, s objectstore.Store) (string, error) {
	t, err := b.open(ctx, s, 91)
	if errors.Is(err, txlog.ErrNotATable) {
		return "none", nil
	}
	if err != nil {
		return "", err
	}
	report, err := table.Check(ctx, s, "t", table.Fsck{})
	if err != nil {
		return "", err
	}
	if len(report.Findings) > 0 {
		return "", fmt.Errorf("fsck: %v", report.Findings)
	}
	rel, _, err := t.Relation(ctx, table.ScanOptions{})
	if err != nil {
		return "", err
	}
	rows, err := b.eng.Query(ctx, table.Query{SQL: "SELECT * FROM r", Relations: map[string]table.Relation{"r": rel}})
	if err != nil {
		return "", err
	}
	var out []string
	for row, err := range rows.All {
		if err != nil {
			return "", err
		}
		out = append(out, fmt.Sprint(row...))
	}
	slices.Sort(out)
	like, err := logops.Describe(t.Snapshot())
	if err != nil {
		return "", errors.Join(err, rows.Close())
	}
	return strings.Join(append(out, like), "\n"), rows.Close()
}

// built is a table to begin with.
func (b *bench) built(t *testing.T, like table.Create) logops.Fixture {
	t.Helper()
	s := mem.New("built")
	if err := b.prepare(t.Context(), s, like); err != nil {
		t.Fatal(err)
	}
	f, err := logops.Dump(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestR4Tables sweeps the operations of table with the real engine: eight faults at every call.
func TestR4Tables(t *testing.T) {
	long := ledger.Size() != ledger.Short
	eng, err := duckdb.Open(duckdb.Options{TempDir: t.TempDir(), Threads: 1, MemoryBytes: 512 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = eng.Close() })
	b := &bench{eng}
	fixture, featured := b.built(t, table.Create{}), b.built(t, features())
	old := txlog.Version(1)
	floor := 30
	if long {
		floor = 900
	}
	check := ledger.Open(t, "R4 tables", floor)
	var all faultstore.Counts
	merge := func(ctx context.Context, t *table.Table) error {
		_, err := t.Merge(ctx, eng, table.Merge{Source: values("(2, 'B'), (3, 'c')"), On: "t.id = s.id", Clauses: []table.Clause{
			{When: table.Matched, Do: table.DoUpdate, Star: true}, {When: table.NotMatched, Do: table.DoInsert, Star: true},
		}})
		return err
	}
	add := func(ctx context.Context, t *table.Table) error {
		_, err := t.Append(ctx, eng, table.Append{Source: values("(3, 'c')")})
		return err
	}
	optimize := func(ctx context.Context, t *table.Table) error {
		_, err := t.Optimize(ctx, eng, table.Optimize{})
		return err
	}
	for _, c := range []struct {
		name     string
		harmless bool // rows stay as they are
		quick    bool // also in the short form
		do       func(ctx context.Context, t *table.Table) error
	}{
		{"append", false, false, add},
		{"append, features", false, false, add},
		{"append once", false, false, func(ctx context.Context, t *table.Table) error {
			_, err := t.Append(ctx, eng, table.Append{Source: values("(3, 'c')"), Meta: table.ChangeMeta{Txns: []txlog.Txn{{AppID: "app", Version: 1}}}})
			return err
		}},
		{"overwrite", false, false, func(ctx context.Context, t *table.Table) error {
			_, err := t.Overwrite(ctx, eng, table.Overwrite{Source: values("(3, 'c')")})
			return err
		}},
		{"delete", false, false, func(ctx context.Context, t *table.Table) error {
			_, err := t.Delete(ctx, eng, table.Delete{Where: "id = 2"})
			return err
		}},
		{"update", false, false, func(ctx context.Context, t *table.Table) error {
			_, err := t.Update(ctx, eng, table.Update{Set: []table.Assignment{{Column: "name", Value: "upper(name)"}}, Where: "id = 2"})
			return err
		}},
		{"merge", false, false, merge},
		{"merge, features", false, false, merge},
		{"replace", false, false, func(ctx context.Context, t *table.Table) error {
			_, err := t.Replace(ctx, eng, table.Create{}, values("(3, 'c')"))
			return err
		}},
		{"optimize", true, false, optimize},
		{"optimize, features", true, false, optimize},
		{"alter", false, false, func(ctx context.Context, t *table.Table) error { // reads the rows
			_, err := t.Alter(ctx, eng, table.Alter{
				AddConstraints: []table.AddConstraint{{Name: "positive", Expression: "id > 0 AND length(name) > 0"}},
				AddColumns:     []table.AddColumn{{Column: "more", Type: &txlog.DataType{Kind: txlog.KindDate, Name: "date"}}},
			})
			return err
		}},
		{"restore", false, false, func(ctx context.Context, t *table.Table) error {
			_, err := t.Restore(ctx, table.Restore{Version: &old})
			return err
		}},
		{"vacuum", true, true, func(ctx context.Context, t *table.Table) error {
			zero := time.Duration(0)
			_, err := t.Vacuum(ctx, table.Vacuum{Retain: &zero, Force: true})
			return err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !long && !c.quick {
				t.Skip("a quarter of a minute: LAKE_SCALE=pr")
			}
			from := fixture
			if strings.HasSuffix(c.name, ", features") {
				from = featured
			}
			process := func(seed uint64) func(context.Context, objectstore.Store) error {
				return func(ctx context.Context, s objectstore.Store) error {
					tab, err := b.open(ctx, s, seed)
					if err != nil {
						return err
					}
					return c.do(ctx, tab)
				}
			}
			all.Add(faultstore.Sweep(t, faultstore.Subject{
				Name: c.name, Prepare: from.Fill, Do: process(1), Again: process(2), State: b.state,
				Harmless: c.harmless, Once: c.name == "append once",
				Unknown: func(err error) bool { return errors.Is(err, txlog.ErrUnknown) },
				// Pages carry no checksum that the engine verifies: a byte that flips in one is caught below us, by TLS and by
				// the store, or not at all. The log is text, where it shows.
				Skip: func(f faultstore.Fault, call string) bool {
					return f == faultstore.FlippedByte && !strings.Contains(call, "_delta_log/")
				},
			}))
		})
	}
	check.Count, check.Failed = all.Runs, all.Failed
	t.Logf("R4 tables: %v", all)
}
