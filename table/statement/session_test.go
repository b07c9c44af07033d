package statement_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/lakectl/lakectl/engine/duckdb"
	"github.com/lakectl/lakectl/objectstore/mem"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/table/statement"
	"github.com/lakectl/lakectl/txlog"
)

// desk is a session over a lake in memory.
type desk struct {
	t *testing.T
	*statement.Session
}

func open(t *testing.T) *desk {
	t.Helper()
	eng, err := duckdb.Open(duckdb.Options{TempDir: t.TempDir(), Threads: 2, MemoryBytes: 512 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := eng.Close(); err != nil {
			t.Error(err)
		}
	})
	store := mem.New(t.Name())
	d := &desk{t, &statement.Session{Lake: &statement.Warehouse{Store: store, Folder: "lake"}, Engine: eng}}
	t.Cleanup(d.fsck)
	return d
}

// fsck demands that every table is sound.
func (d *desk) fsck() {
	ctx := context.WithoutCancel(d.t.Context())
	w, _ := d.Lake.(*statement.Warehouse)
	names, err := w.Tables(ctx, "")
	if err != nil {
		d.t.Error(err)
	}
	for _, n := range names {
		report, err := table.Check(ctx, w.Store, "lake/"+strings.ReplaceAll(n, ".", "/"), table.Fsck{Deep: true, Engine: d.Engine})
		if err != nil {
			d.t.Errorf("%s: %v", n, err)
			continue
		}
		for _, f := range report.Findings {
			d.t.Errorf("%s: %s", n, f)
		}
	}
}

// run runs a script and returns what its last statement says: rows as text, or numbers of rows.
func (d *desk) run(script string) (last string, err error) {
	d.t.Helper()
	err = d.Exec(d.t.Context(), script, func(o *statement.Outcome) (err error) {
		last, err = said(o)
		return err
	})
	return last, err
}

func said(o *statement.Outcome) (string, error) {
	switch {
	case o.Rows != nil:
		var out []string
		for row, err := range o.Rows.All {
			if err != nil {
				return "", errors.Join(err, o.Rows.Close())
			}
			texts := make([]string, len(row))
			for i, v := range row {
				texts[i] = fmt.Sprint(v)
			}
			out = append(out, strings.Join(texts, " "))
		}
		return strings.Join(out, ", "), o.Rows.Close()
	case o.Change != nil:
		r := o.Change
		return fmt.Sprintf("%s +%d ~%d -%d v%d", o.Verb, r.RowsInserted, r.RowsUpdated, r.RowsDeleted, r.VersionAfter), nil
	case o.Altered != nil:
		return o.Verb + ": " + strings.Join(o.Altered.Changes, ", "), nil
	case o.Described != nil:
		return fmt.Sprintf("version %d, %d columns", o.Described.Version, len(o.Described.Columns)), nil
	case o.History != nil:
		var out []string
		for e, err := range o.History {
			if err != nil {
				return "", err
			}
			out = append(out, e.Operation)
		}
		return strings.Join(out, ", "), nil
	case o.Tables != nil:
		return strings.Join(o.Tables, ", "), nil
	case o.Optimized != nil:
		return fmt.Sprintf("%s -%d +%d", o.Verb, o.Optimized.FilesRemoved, o.Optimized.FilesAdded), nil
	case o.Vacuumed != nil:
		return fmt.Sprintf("%s %d", o.Verb, o.Vacuumed.FilesDeleted), nil
	case o.Restored != nil:
		return fmt.Sprintf("%s %d", o.Verb, o.Restored.RestoredVersion), nil
	case o.Dropped != nil:
		return o.Verb, nil
	}
	return "", errors.New("nothing came of it")
}

func TestStatements(t *testing.T) {
	d := open(t)
	for _, c := range [][2]string{
		{"SHOW TABLES", ""},
		{"CREATE TABLE silver.orders (id bigint NOT NULL, status string DEFAULT 'new', day date, total decimal(10,2)) USING DELTA PARTITIONED BY (day)", "created +0 ~0 -0 v0"},
		{"CREATE TABLE IF NOT EXISTS silver.orders (id int)", "exists: +0 ~0 -0 v0"},
		{"INSERT INTO silver.orders VALUES (1, 'new', '2026-01-01', 1.5), (2, 'sent', '2026-01-02', 2), (3, NULL, NULL, 3)", "inserted into +3 ~0 -0 v1"},
		{"INSERT INTO silver.orders (id, day, status) VALUES (4, '2026-01-02', DEFAULT)", "inserted into +1 ~0 -0 v2"},
		{"SELECT id, status, total FROM silver.orders ORDER BY id", "1 new 1.50, 2 sent 2.00, 3 <nil> 3.00, 4 new <nil>"},
		{"UPDATE silver.orders SET status = upper(status), total = coalesce(total, 0) WHERE orders.day = DATE '2026-01-02'", "updated +0 ~2 -0 v3"},
		{"DELETE FROM silver.orders AS o WHERE o.id IN (SELECT id FROM silver.orders VERSION AS OF 1 WHERE status IS NULL)", "deleted from +0 ~0 -1 v4"},
		{"SELECT id, status, total FROM silver.orders ORDER BY id", "1 new 1.50, 2 SENT 2.00, 4 NEW 0.00"},
		{"UPDATE silver.orders SET total = (SELECT max(total) FROM silver.orders) WHERE id = 4", "updated +0 ~1 -0 v5"},
		{"MERGE INTO silver.orders USING (SELECT * FROM (VALUES (1, 'gone'), (4, 'kept'), (9, 'fresh')) v(id, status)) s ON orders.id = s.id " +
			"WHEN MATCHED AND s.status = 'gone' THEN DELETE WHEN MATCHED THEN UPDATE SET status = s.status WHEN NOT MATCHED THEN INSERT (id, status) VALUES (s.id, s.status)", "merged into +1 ~1 -1 v6"},
		{"MERGE WITH SCHEMA EVOLUTION INTO silver.orders t USING silver.orders VERSION AS OF 1 s ON t.id = s.id WHEN NOT MATCHED THEN INSERT *", "merged into +2 ~0 -0 v7"},
		{"SELECT id, status FROM silver.orders ORDER BY id", "1 new, 2 SENT, 3 <nil>, 4 kept, 9 fresh"},
		{"INSERT INTO silver.orders REPLACE WHERE day = DATE '2026-01-02' SELECT 7, 'x', DATE '2026-01-02', 7", "overwritten +1 ~0 -2 v8"},
		{"ALTER TABLE silver.orders ADD COLUMN note string COMMENT 'free' AFTER status", "altered: column note string is new"},
		{"ALTER TABLE silver.orders ADD CONSTRAINT small CHECK (total IS NULL OR total < 100)", "altered: constraint small: total IS NULL OR total < 100"},
		{"ALTER TABLE silver.orders SET TBLPROPERTIES (delta.enableChangeDataFeed = true)", "altered: property delta.enableChangeDataFeed = true"},
		{"UPDATE silver.orders SET note = 'n' WHERE id = 1; SELECT _change_type, note FROM table_changes('silver.orders', 12) ORDER BY 1", "update_postimage n, update_preimage <nil>"},
		{"DESCRIBE silver.orders VERSION AS OF 1", "version 1, 4 columns"},
		{"DESCRIBE DETAIL silver.orders", "version 12, 5 columns"},
		{"DESCRIBE HISTORY silver.orders LIMIT 2", "UPDATE, SET TBLPROPERTIES"},
		{"CREATE TABLE gold.daily CLUSTER BY (day) AS SELECT day, count(*) AS n FROM silver.orders GROUP BY day", "created +3 ~0 -0 v0"},
		{"SELECT sum(n) FROM gold.daily", "4"},
		{"CREATE OR REPLACE TABLE gold.daily TBLPROPERTIES ('delta.columnMapping.mode' = 'name') AS SELECT count(*) AS n FROM gold.daily", "replaced +1 ~0 -3 v1"},
		{"SELECT * FROM gold.daily", "3"},
		{"SELECT count(*) FROM gold.daily VERSION AS OF 0", "3"},
		{"CREATE TABLE gold.copy LIKE silver.orders; SHOW TABLES IN gold", "gold.copy, gold.daily"},
		{"INSERT OVERWRITE gold.copy SELECT * FROM silver.orders; SELECT count(*) FROM gold.copy", "4"},
		{"INSERT WITH SCHEMA EVOLUTION INTO gold.copy BY NAME SELECT 50 AS id, 'y' AS extra; SELECT extra FROM gold.copy WHERE id = 50", "y"},
		{"TRUNCATE TABLE gold.copy", "deleted from +0 ~0 -5 v3"},
		{"OPTIMIZE silver.orders ZORDER BY (id)", "optimized -2 +1"},
		{"RESTORE TABLE silver.orders TO VERSION AS OF 1; SELECT count(*) FROM silver.orders", "3"},
		{"VACUUM silver.orders DRY RUN", "vacuumed 0"},
		{"DROP TABLE gold.copy; DROP TABLE IF EXISTS gold.copy; SHOW TABLES", "gold.daily, silver.orders"},
		{"DESCRIBE SELECT 1 AS one", "one INTEGER YES <nil> <nil> <nil>"},
	} {
		got, err := d.run(c[0])
		if err != nil || got != c[1] {
			t.Errorf("%s:\n got %q, %v\nwant %q", c[0], got, err, c[1])
		}
	}
}

func TestStatementErrors(t *testing.T) {
	d := open(t)
	if _, err := d.run("CREATE TABLE silver.orders (id bigint NOT NULL, status string); INSERT INTO silver.orders VALUES (1, 'a')"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		sql, at, text string
		is            error
	}{
		{"UPDATE silver.orders SET status = 1 2", "2", "syntax error", nil},
		{"UPDATE silver.orders SET status = 'x'\nWHERE statsu = 'a'", "statsu", `"status"`, nil},
		{"UPDATE silver.orders SET statsu = 'x'", "", `did you mean "status"`, table.ErrInvalidRequest},
		{"DELETE FROM silver.orders WHERE nosuch(id)", "nosuch", "nosuch", nil},
		{"DELETE FROM silver.order WHERE true", "", "did you mean silver.orders?", txlog.ErrNotATable},
		{"SELECT * FROM silver.oders", "", "did you mean silver.orders?", txlog.ErrNotATable},
		{"SELECT *\nFROM silver.orders\nWHERE staus = 1", "staus", "staus", nil},
		{"SELECT id FROM silver.orders VERSION AS OF 1 WHERE idd = 3", "idd", "idd", nil},
		{"SELECT 1 FROM FROM x", "FROM x", "syntax error", nil},
		{"SELECT 1, nosuch FROM silver.orders VERSION AS OF 0 x", "nosuch", "nosuch", nil},
		{"INSERT INTO silver.orders VALUES (1)", "", "1 columns for the 2 columns id, status", table.ErrSchemaMismatch},
		{"INSERT INTO silver.orders (id, statsu) VALUES (1, 'x')", "", `did you mean "status"`, table.ErrSchemaMismatch},
		{"INSERT INTO silver.orders (id, ID) VALUES (1, 2)", "", "given twice", table.ErrInvalidRequest},
		{"INSERT INTO silver.orders VALUES (NULL, 'x')", "", "not null", table.ErrConstraint},
		{"INSERT INTO silver.orders VALUES ('x', 'x')", "", "", table.ErrValue},
		{"INSERT INTO silver.orders SELECT id, FROM silver.orders WHERE )", ")", "syntax error", nil},
		{"INSERT INTO silver.orders REPLACE WHERE id = 1 VALUES (2, 'b')", "", "id = 1", table.ErrConstraint},
		{"MERGE INTO silver.orders t USING (SELECT 1 AS id) s ON t.id = s.idd WHEN MATCHED THEN DELETE", "idd", "idd", nil},
		{"CREATE TABLE silver.orders (id int)", "", "exists", table.ErrTableExists},
		{"REPLACE TABLE silver.other (id int)", "", "", txlog.ErrNotATable},
		{"SELECT * FROM read_csv('x')", "", "read_csv cannot be called", nil},
		{"DELETE FROM silver.orders WHERE id IN (SELECT id FROM read_parquet('x'))", "", "read_parquet cannot be called", nil},
		{"DROP TABLE silver.none", "", "", txlog.ErrNotATable},
		{"ALTER TABLE silver.orders ADD COLUMN status string", "", "status", nil},
		{"RESTORE silver.orders TO TIMESTAMP AS OF 'x'", "", "is not a time", table.ErrInvalidRequest},
		{"UPDATE './silver/orders@v0' SET id = 1", "", "", table.ErrReadOnly},
		{"OPTIMIZE silver.orders FULL", "", "no effect", table.ErrInvalidRequest},
	} {
		_, err := d.run(c.sql)
		if err == nil || !strings.Contains(err.Error(), c.text) || c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: %v, want %q", c.sql, err, c.text)
			continue
		}
		var place *statement.SyntaxError
		if c.at != "" && (!errors.As(err, &place) || !strings.HasPrefix(place.SQL[place.Offset:], c.at)) {
			t.Errorf("%s: %v has no place, want %q", c.sql, err, c.at)
		}
	}
	if got, err := d.run("SELECT * FROM silver.orders"); err != nil || got != "1 a" {
		t.Errorf("%s %v", got, err)
	}
	// A script is read whole before anything of it is run.
	for _, bad := range []string{"UPDATE", "SELECT 1 FROM FROM x", "UPDATE silver.orders SET id = 1 WERE id = 2", "SELECT * FROM silver.orders VERSION AS OF 1 WERE id"} {
		var place *statement.SyntaxError
		if _, err := d.run("DELETE FROM silver.orders; " + bad); !errors.As(err, &place) || place.Offset < 27 {
			t.Errorf("%s: %v", bad, err)
		}
	}
	if _, err := d.run("SELECT 1; DELETE FROM silver.orders WHERE x"); err == nil || !strings.HasPrefix(err.Error(), "statement 2: ") {
		t.Error(err)
	}
	if got, err := d.run("SELECT * FROM silver.orders"); err != nil || got != "1 a" {
		t.Errorf("%s %v", got, err)
	}
}

func TestDryRun(t *testing.T) {
	d := open(t)
	if _, err := d.run("CREATE TABLE silver.orders (id bigint, status string); INSERT INTO silver.orders VALUES (1, 'a'), (2, 'b')"); err != nil {
		t.Fatal(err)
	}
	w, _ := d.Lake.(*statement.Warehouse)
	objects := func() (keys []string) {
		for o, err := range w.Store.List(t.Context(), "", "") {
			if err != nil {
				t.Fatal(err)
			}
			keys = append(keys, o.Key)
		}
		return keys
	}
	before := objects()
	d.DryRun = true
	for sql, want := range map[string]string{
		"UPDATE silver.orders SET status = 'c' WHERE id = 1":                                       "updated +0 ~1 -0 v1",
		"DELETE FROM silver.orders WHERE id = 1":                                                   "deleted from +0 ~0 -1 v1",
		"INSERT INTO silver.orders VALUES (3, 'c')":                                                "inserted into +1 ~0 -0 v1",
		"INSERT OVERWRITE silver.orders VALUES (3, 'c')":                                           "overwritten +1 ~0 -2 v1",
		"CREATE TABLE silver.new (id int)":                                                         "created +0 ~0 -0 v-1",
		"CREATE TABLE silver.new AS SELECT 1 AS x":                                                 "created +1 ~0 -0 v-1",
		"CREATE OR REPLACE TABLE silver.orders AS SELECT 1 AS x":                                   "replaced +1 ~0 -2 v1",
		"ALTER TABLE silver.orders ADD COLUMN x int":                                               "altered: column x int is new",
		"OPTIMIZE silver.orders":                                                                   "optimized -0 +0",
		"VACUUM silver.orders":                                                                     "vacuumed 0",
		"RESTORE silver.orders TO VERSION AS OF 0":                                                 "restored 0",
		"DROP TABLE silver.orders":                                                                 "dropped",
		"MERGE INTO silver.orders t USING silver.orders s ON t.id = s.id WHEN MATCHED THEN DELETE": "merged into +0 ~0 -2 v1",
	} {
		if got, err := d.run(sql); err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", sql, got, err, want)
		}
	}
	if after := objects(); !slices.Equal(before, after) {
		t.Errorf("objects\n%v\nbefore\n%v", after, before)
	}
}

func TestDropAsks(t *testing.T) {
	d := open(t)
	no := errors.New("no")
	d.Confirm = func(string) error { return no }
	if _, err := d.run("CREATE TABLE silver.orders (id bigint)"); err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{"DROP TABLE silver.orders", "VACUUM silver.orders"} {
		if _, err := d.run(sql); !errors.Is(err, no) {
			t.Errorf("%s: %v", sql, err)
		}
	}
	if got, err := d.run("SHOW TABLES"); err != nil || got != "silver.orders" {
		t.Errorf("%q %v", got, err)
	}
}
