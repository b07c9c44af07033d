package statement

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/table/schemaedit"
	"github.com/lakectl/lakectl/txlog"
)

func one(t *testing.T, sql string) Statement {
	t.Helper()
	all, err := Parse(sql)
	if err != nil || len(all) != 1 {
		t.Fatalf("%s: %d statements, %v", sql, len(all), err)
	}
	return all[0]
}

// name is a table without its place.
func name(s string) Name { return Name{Text: s} }

func pointer[T any](v T) *T { return &v }

func TestParse(t *testing.T) {
	long := &txlog.DataType{Kind: txlog.KindLong, Name: "long"}
	for _, c := range []struct {
		sql  string
		want Statement
	}{
		{"SELECT 1 -- one", &Select{SQL: "SELECT 1"}},
		{"WITH a AS (SELECT 1) SELECT * FROM `x y`", &Select{SQL: `WITH a AS (SELECT 1) SELECT * FROM "x y"`}},
		{"DESCRIBE SELECT 1", &Select{SQL: "DESCRIBE SELECT 1"}},
		{
			"UPDATE silver.orders SET a = a + 1, t.`b c` = concat(b, ', where') WHERE a IS DISTINCT FROM 3",
			&Update{Target: name("silver.orders"), Request: table.Update{Alias: "t", Where: "a IS DISTINCT FROM 3", Set: []table.Assignment{
				{Column: "a", Value: "a + 1"}, {Column: "b c", Value: "concat(b, ', where')"},
			}}},
		},
		{
			"UPDATE './t' AS o SET o.x = CASE WHEN o.x = 1 THEN (SELECT 2 WHERE true) END",
			&Update{Target: name("./t"), Request: table.Update{Alias: "o", Set: []table.Assignment{
				{Column: "x", Value: "CASE WHEN o.x = 1 THEN (SELECT 2 WHERE true) END"},
			}}},
		},
		{"UPDATE silver.orders SET x = 1 WHERE orders.y = 2", &Update{Target: name("silver.orders"), Request: table.Update{
			Alias: "orders", Where: "orders.y = 2", Set: []table.Assignment{{Column: "x", Value: "1"}},
		}}},
		{"DELETE FROM delta.`/tmp/t` x WHERE x.id IN (1, /* two */ 2)", &Delete{Target: name("/tmp/t"), Request: table.Delete{
			Alias: "x", Where: "x.id IN (1,           2)",
		}}},
		{"DELETE FROM t", &Delete{Target: name("t"), Request: table.Delete{Alias: "t"}}},
		{"TRUNCATE TABLE t", &Delete{Target: name("t")}},
		{"INSERT INTO t VALUES (1, 'a;b'), (2, NULL)", &Insert{Target: name("t"), SQL: "VALUES (1, 'a;b'), (2, NULL)"}},
		{"INSERT INTO t (id, `a b`) SELECT 1, 2", &Insert{Target: name("t"), Columns: []string{"id", "a b"}, SQL: "SELECT 1, 2"}},
		{"INSERT INTO t (SELECT 1)", &Insert{Target: name("t"), SQL: "(SELECT 1)"}},
		{"INSERT WITH SCHEMA EVOLUTION INTO TABLE t BY NAME SELECT 1 AS id", &Insert{Target: name("t"), ByName: true, Evolve: true, SQL: "SELECT 1 AS id"}},
		{"INSERT INTO t (a, b, c) VALUES (1, DEFAULT, 'x'), (2, DEFAULT, DEFAULT || 'y')", &Insert{
			Target: name("t"), Columns: []string{"a", "c"}, SQL: "VALUES (1, 'x'), (2, DEFAULT || 'y')",
		}},
		{"INSERT OVERWRITE t SELECT 1", &Insert{Target: name("t"), Overwrite: true, SQL: "SELECT 1"}},
		{"INSERT INTO t REPLACE WHERE day IS DISTINCT FROM '2026-01-01' AND x > (SELECT 1) FROM './new.csv'", &Insert{
			Target: name("t"), Overwrite: true, Where: "day IS DISTINCT FROM '2026-01-01' AND x > (SELECT 1)", SQL: "FROM './new.csv'",
		}},
		{
			`MERGE WITH SCHEMA EVOLUTION INTO silver.orders AS o -- comment
			USING (SELECT id, 'when' AS w FROM 'a.csv' WHERE id > 0) u ON o.id = u.id
			WHEN MATCHED AND CASE WHEN u.w = 'x' THEN true ELSE false END THEN DELETE
			WHEN MATCHED THEN UPDATE SET w = u.w, o.n = o.n + 1
			WHEN NOT MATCHED BY TARGET AND u.id > 0 THEN INSERT (id, w) VALUES (u.id, coalesce(u.w, ''))
			WHEN NOT MATCHED THEN INSERT *
			WHEN NOT MATCHED BY SOURCE AND o.old THEN UPDATE SET w = 'gone'
			WHEN NOT MATCHED BY SOURCE THEN DELETE`,
			&Merge{
				Target: name("silver.orders"), Source: Source{SQL: "SELECT id, 'when' AS w FROM 'a.csv' WHERE id > 0"},
				Request: table.Merge{
					On: "o.id = u.id", TargetAlias: "o", SourceAlias: "u", MergeSchema: true,
					Clauses: []table.Clause{
						{When: table.Matched, Do: table.DoDelete, If: "CASE WHEN u.w = 'x' THEN true ELSE false END"},
						{When: table.Matched, Do: table.DoUpdate, Set: []table.Assignment{{Column: "w", Value: "u.w"}, {Column: "n", Value: "o.n + 1"}}},
						{When: table.NotMatched, Do: table.DoInsert, If: "u.id > 0", Set: []table.Assignment{
							{Column: "id", Value: "u.id"}, {Column: "w", Value: "coalesce(u.w, '')"},
						}},
						{When: table.NotMatched, Do: table.DoInsert, Star: true},
						{When: table.NotMatchedBySource, Do: table.DoUpdate, If: "o.old", Set: []table.Assignment{{Column: "w", Value: "'gone'"}}},
						{When: table.NotMatchedBySource, Do: table.DoDelete},
					},
				},
			},
		},
		{
			"MERGE INTO gold.a USING silver.b VERSION AS OF 3 ON a.id = b.id WHEN MATCHED THEN UPDATE *",
			&Merge{Target: name("gold.a"), Source: Source{Name: name("silver.b"), At: "VERSION => 3"}, Request: table.Merge{
				On: "a.id = b.id", TargetAlias: "a", SourceAlias: "b", Clauses: []table.Clause{{Star: true}},
			}},
		},
		{
			`CREATE TABLE IF NOT EXISTS t (id bigint NOT NULL, a struct<x: array<int>, y:string> COMMENT 'a, b', -- the rest
				d decimal(10, 2) DEFAULT 1.5, CONSTRAINT small CHECK (d < 10 AND id > 0)
			) USING delta PARTITIONED BY (id) TBLPROPERTIES ('delta.appendOnly' = 'true', a.b = 3) COMMENT 'it''s'`,
			&Create{Target: name("t"), Request: table.Create{
				IfNotExists: true, PartitionBy: []string{"id"}, Comment: "it's", Properties: map[string]string{"delta.appendOnly": "true", "a.b": "3"},
				Constraints: []table.AddConstraint{{Name: "small", Expression: "d < 10 AND id > 0"}},
				Schema:      mustColumns(t, "id bigint not null, a struct<x: array<int>, y:string> comment 'a, b', d decimal(10,2) default 1.5"),
			}},
		},
		{"CREATE OR REPLACE TABLE t CLUSTER BY (a, b.c) AS SELECT 1 AS a", &Create{
			Target: name("t"), OrReplace: true, SQL: "SELECT 1 AS a", Request: table.Create{ClusterBy: []string{"a", "b.c"}},
		}},
		{"REPLACE TABLE t LIKE u", &Create{Target: name("t"), OrReplace: true, MustReplace: true, Like: &Name{Text: "u"}}},
		{"ALTER TABLE t ADD COLUMNS (n bigint COMMENT 'x' AFTER id, a.b map<string, int> FIRST)", &Alter{Target: name("t"), Request: table.Alter{
			AddColumns: []table.AddColumn{
				{Column: "n", Type: long, Comment: "x", Place: schemaedit.Place{After: "id"}},
				{Column: "a.b", Type: mustColumns(t, "m map<string, int>").Fields[0].Type, Place: schemaedit.Place{First: true}},
			},
		}}},
		{"ALTER TABLE t DROP COLUMNS IF EXISTS (a, b.c)", &Alter{Target: name("t"), IfExists: true, Request: table.Alter{DropColumns: []string{"a", "b.c"}}}},
		{"ALTER TABLE t RENAME COLUMN a TO `b c`", &Alter{Target: name("t"), Request: table.Alter{RenameColumns: []table.RenameColumn{{Column: "a", To: "b c"}}}}},
		{"ALTER TABLE t ALTER COLUMN a TYPE bigint", &Alter{Target: name("t"), Request: table.Alter{ChangeColumns: []table.ChangeColumn{{Column: "a", Type: long}}}}},
		{"ALTER TABLE t CHANGE a SET NOT NULL", &Alter{Target: name("t"), Request: table.Alter{ChangeColumns: []table.ChangeColumn{{Column: "a", Nullable: pointer(false)}}}}},
		{"ALTER TABLE t ALTER a SET DEFAULT concat('a', `b`)", &Alter{Target: name("t"), Request: table.Alter{
			ChangeColumns: []table.ChangeColumn{{Column: "a", Default: pointer("concat('a', `b`)")}},
		}}},
		{"ALTER TABLE t ALTER COLUMN a AFTER b", &Alter{Target: name("t"), Request: table.Alter{
			ChangeColumns: []table.ChangeColumn{{Column: "a", Place: &schemaedit.Place{After: "b"}}},
		}}},
		{"ALTER TABLE t SET TBLPROPERTIES ('a' = 'b')", &Alter{Target: name("t"), Request: table.Alter{SetProperties: map[string]string{"a": "b"}}}},
		{"ALTER TABLE t UNSET TBLPROPERTIES IF EXISTS ('a', b.c)", &Alter{Target: name("t"), IfExists: true, Request: table.Alter{UnsetProperties: []string{"a", "b.c"}}}},
		{"ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0)", &Alter{Target: name("t"), Request: table.Alter{AddConstraints: []table.AddConstraint{{Name: "c", Expression: "a > 0"}}}}},
		{"ALTER TABLE t DROP CONSTRAINT c", &Alter{Target: name("t"), Request: table.Alter{DropConstraints: []string{"c"}}}},
		{"ALTER TABLE t CLUSTER BY NONE", &Alter{Target: name("t"), Request: table.Alter{ClusterBy: pointer([]string(nil))}}},
		{"COMMENT ON TABLE t IS 'x'", &Alter{Target: name("t"), Request: table.Alter{Comment: pointer("x")}}},
		{"DROP TABLE IF EXISTS t", &Drop{Target: name("t"), IfExists: true}},
		{"DESC HISTORY t LIMIT 5", &Describe{Target: name("t"), History: true, Limit: 5}},
		{"DESCRIBE DETAIL './t'", &Describe{Target: name("./t"), Detail: true}},
		{"DESCRIBE TABLE EXTENDED t VERSION AS OF 2", &Describe{Target: name("t"), At: "VERSION => 2"}},
		{"SHOW TABLES IN silver", &ShowTables{Layer: "silver"}},
		{"OPTIMIZE t FULL WHERE day > '2026' ZORDER BY (a, b.c)", &Optimize{Target: name("t"), Request: table.Optimize{
			Full: true, Where: "day > '2026'", ZOrderBy: []string{"a", "b.c"},
		}}},
		{"VACUUM t RETAIN 48 HOURS DRY RUN", &Vacuum{Target: name("t"), Request: table.Vacuum{Retain: pointer(48 * time.Hour), DryRun: true}}},
		{"RESTORE TABLE t TO VERSION AS OF 7", &Restore{Target: name("t"), Version: pointer(txlog.Version(7))}},
		{"RESTORE t TO TIMESTAMP AS OF '2026-01-31'", &Restore{Target: name("t"), Time: "2026-01-31"}},
	} {
		got := one(t, "  "+c.sql+" ;")
		if d := cmp.Diff(c.want, got, cmpopts.IgnoreFields(Name{}, "Offset"), cmpopts.IgnoreUnexported(
			Select{}, Merge{}, Update{}, Delete{}, Insert{}, Create{}, Alter{}, Drop{}, Describe{}, ShowTables{}, Optimize{}, Vacuum{}, Restore{},
		), cmpopts.EquateEmpty(), cmp.Comparer(func(a, b *txlog.Schema) bool { return a == b || a != nil && b != nil && a.JSON() == b.JSON() })); d != "" {
			t.Errorf("%s:\n%s", c.sql, d)
		}
	}
}

func mustColumns(t *testing.T, sql string) *txlog.Schema {
	t.Helper()
	s, err := txlog.ParseColumns(sql)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestParseScript(t *testing.T) {
	all, err := Parse("; SELECT ';' ; -- a; b\n DELETE FROM t; /* ; /* nested */ */ ;")
	if err != nil || len(all) != 2 {
		t.Fatalf("%d statements, %v", len(all), err)
	}
	for sql, want := range map[string]bool{
		"SELECT 1;": true, "SELECT 1": false, "SELECT ';": false, "SELECT 1; -- done": true, "": false, ";": true, "SELECT 1; /* ;": false, "SELECT ';'": false,
	} {
		if got := Complete(sql); got != want {
			t.Errorf("%q complete: %v", sql, got)
		}
	}
}

func TestSyntaxErrors(t *testing.T) {
	for _, c := range []struct{ sql, at, reason string }{
		{"UPDATE t\n  FROM x", "FROM x", "expected SET, not \"FROM\""},
		{"UPDATE t SET", "", "expected a column, not the end of the statement"},
		{"UPDATE t SET a", "", "expected =, not the end"},
		{"UPDATE t SET a = , b = 1", ", b", "expected a value, not \",\""},
		{"UPDATE t SET a = 1 FROM u", "FROM u", "MERGE takes rows"},
		{"UPDATE t SET a.b.c = 1", "a.b.c", "with the whole column"},
		{"UPDATE t SET a = (1", "", "a parenthesis does not end"},
		{"UPDATE t SET a = 1)", ")", "unexpected"},
		{"DELETE t", "t", "expected FROM"},
		{"DELETE FROM t WHERE", "", "expected a condition"},
		{"DELETE FROM t USING u", "USING", "MERGE has USING"},
		{"DELETE FROM t a b", "b", "unexpected"},
		{"INSERT INTO t", "", "expected VALUES or a query"},
		{"INSERT INTO t (a VALUES (1)", "VALUES", "expected )"},
		{"INSERT INTO t PARTITION (a = 1) SELECT 1", "PARTITION", "REPLACE WHERE"},
		{"INSERT INTO t (a, b) VALUES (1, DEFAULT), (2, 3)", "3)", "DEFAULT in some rows only"},
		{"MERGE INTO t USING s ON t.a = s.a", "", "expected WHEN"},
		{"MERGE INTO t USING s WHEN MATCHED THEN DELETE", "WHEN", "expected ON"},
		{"MERGE INTO t USING s ON true WHEN MATCHED THEN INSERT *", "INSERT", "expected UPDATE or DELETE"},
		{"MERGE INTO t USING s ON true WHEN NOT MATCHED THEN INSERT (a) VALUES (1, 2)", "(1, 2)", "2 values for 1 columns"},
		{"MERGE INTO t USING s ON true WHEN MATCHED THEN UPDATE SET *, a = 1", ", a", "expected WHEN"},
		{"CREATE VIEW v AS SELECT 1", "VIEW", "CREATE VIEW is not done here"},
		{"CREATE TABLE t", "", "expected the columns"},
		{"CREATE TABLE t (id bigin)", "", "bigin"},
		{"CREATE TABLE t (id bigint, PRIMARY KEY (id))", "PRIMARY", "nothing would keep it"},
		{"CREATE TABLE t (id bigint) USING parquet", "USING", "tables are Delta tables"},
		{"CREATE TABLE t (id bigint) LOCATION '/x'", "LOCATION", "LOCATION is not done here"},
		{"CREATE TABLE t (id int) AS SELECT 1", "", "the columns come from the SELECT"},
		{"ALTER TABLE t DROP FEATURE deletionVectors", "DROP", "DROP FEATURE deletionVectors is not done here"},
		{"ALTER TABLE t ADD COLUMN a int NOT NULL", "NOT", "old rows have no value"},
		{"ALTER TABLE t RENAME TO u", "RENAME", "RENAME TO is not done here"},
		{"ALTER TABLE t FOO", "FOO", "expected ADD, DROP"},
		{"DROP VIEW v", "VIEW", "expected TABLE"},
		{"SHOW DATABASES", "DATABASES", "expected TABLES"},
		{"VACUUM t RETAIN x HOURS", "x HOURS", "a whole number"},
		{"VACUUM t LITE", "LITE", "LITE is not done here"},
		{"RESTORE t TO 3", "3", "expected VERSION AS OF"},
		{"COPY t TO 'x'", "COPY", "COPY is not done here"},
		{"SELECT 'open", "'open", "does not end"},
		{"SELECT 1 /* open", "/* open", "does not end"},
	} {
		_, err := Parse(c.sql)
		var got *SyntaxError
		if !errors.As(err, &got) || !strings.Contains(got.Reason, c.reason) {
			t.Errorf("%s: %v, want %s", c.sql, err, c.reason)
			continue
		}
		if c.at != "" && !strings.HasPrefix(c.sql[got.Offset:], c.at) {
			t.Errorf("%s: at %q, want %q", c.sql, c.sql[got.Offset:], c.at)
		}
	}
	_, err := Parse("SELECT 1;\nUPDATE t\n\tSTE a = 'ä'")
	var got *SyntaxError
	if !errors.As(err, &got) || got.Error() != `line 3, column 6: expected SET, not "a"` || got.Excerpt() != " STE a = 'ä'\n     ^" {
		t.Errorf("%v\n%s", err, got.Excerpt())
	}
}

func TestRewrite(t *testing.T) {
	for _, c := range [][2]string{
		{"SELECT 1", "SELECT 1"},
		{"SELECT * FROM t VERSION AS OF 3", "SELECT * FROM t AT (VERSION => 3)"},
		{"SELECT * FROM t FOR SYSTEM_VERSION AS OF 3 x", "SELECT * FROM t AS x AT (VERSION => 3)"},
		{"SELECT * FROM t timestamp as of '2026-01-31' x", "SELECT * FROM t AS x AT (TIMESTAMP => '2026-01-31')"},
		{"SELECT 'version as of 3' -- version as of 3", "SELECT 'version as of 3' -- version as of 3"},
		{`SELECT "version as of 3", /* version as of 3 */ 1`, `SELECT "version as of 3", /* version as of 3 */ 1`},
		{"SELECT 'it''s' FROM './t' VERSION AS OF 0", "SELECT 'it''s' FROM './t' AT (VERSION => 0)"},
		{"SELECT y.id FROM './t' VERSION AS OF 0 AS y WHERE y.id = 1", "SELECT y.id FROM './t' AS y AT (VERSION => 0) WHERE y.id = 1"},
		{"FROM './t' AT (VERSION => 0) y", "FROM './t' AS y AT (VERSION => 0)"},
		{"FROM './t' VERSION AS OF 0 JOIN './u' VERSION AS OF 1 u ON true", "FROM './t' AT (VERSION => 0) JOIN './u' AS u AT (VERSION => 1) ON true"},
		{"FROM './t' VERSION AS OF 0\nWHERE true", "FROM './t' AT (VERSION => 0)\nWHERE true"},
		{"FROM './t' TIMESTAMP AS OF '2026-01-01' AS y", "FROM './t' AS y AT (TIMESTAMP => '2026-01-01')"},
		{"FROM './t' TIMESTAMP AS OF TIMESTAMP '2026-01-01' ORDER BY 1", "FROM './t' AT (TIMESTAMP => '2026-01-01') ORDER BY 1"},
		{"FROM './t' AT (TIMESTAMP => TIMESTAMP '2026-01-01') y", "FROM './t' AS y AT (TIMESTAMP => '2026-01-01')"},
		{"SELECT version AS v, x FROM t", "SELECT version AS v, x FROM t"},
		{"FROM delta.`/tmp/a b` JOIN `c` ON true", `FROM "/tmp/a b" JOIN "c" ON true`},
		{"FROM table_changes('t', 1)", `FROM "table_changes 1"`},
		{"FROM Table_Changes ( 'it''s' , 1 , 2 ) AS c, table_changes('u',0) x", `FROM "table_changes 1" AS c, "table_changes 2" x`},
		{"SELECT (SELECT count(*) FROM table_changes('t', '2026-01-01', '2026-01-31T12:00:00Z'))", `SELECT (SELECT count(*) FROM "table_changes 1")`},
		{"SELECT 'table_changes(1)', table_changes, my_table_changes(1) -- table_changes(", "SELECT 'table_changes(1)', table_changes, my_table_changes(1) -- table_changes("},
	} {
		got, err := rewrite(c[0])
		if err != nil || got.sql != c[1] {
			t.Errorf("%s:\n got %v, %v\nwant %s", c[0], got, err, c[1])
		}
	}
	for sql, want := range map[string]string{
		"FROM table_changes('t')":             "1 arguments",
		"FROM table_changes('t', 1, 2, 3)":    "4 arguments",
		"FROM table_changes(t, 1)":            "in quotes",
		"FROM table_changes('t', -1)":         "neither a version nor a time",
		"FROM table_changes('t', 3, 2)":       "3 comes after 2",
		"FROM table_changes('t', (1)":         "neither a version nor a time",
		"FROM table_changes('t', (1":          "does not end",
		"FROM table_changes('t, 1)":           "does not end",
		"FROM table_changes('t', 1":           "not closed",
		"SELECT 1 FROM table_changes('t', 1,": "expected a version",
	} {
		if r, err := rewrite(sql); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v, want %s", sql, r, err, want)
		}
	}
	r, err := rewrite("FROM table_changes('it''s', 1, '2026-01-31')")
	if c := r.feeds[feedName(1)]; err != nil || c.table != "it's" || *c.ends.From != 1 || c.ends.ToTime.Day() != 31 {
		t.Errorf("%+v, %v", c, err)
	}
}

// Whatever the script, it is cut into statements or refused at a place in it; tokens cover it in order; a query without
// anything of ours in it stays as it is.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"", "SELECT 1", "a'b", "--", "/*", "'x''y' \"z\" -- c\n/* d */ e", "E'\\''", "$a$ $b$ $a$", "1e+3 .5 1.2.3", "`a``b`",
		"MERGE INTO t USING s ON t.a = s.a WHEN MATCHED AND CASE WHEN true THEN false END THEN UPDATE SET a = s.a, b = (1)",
		"CREATE TABLE t (a struct<b: array<int>> DEFAULT 1 < 2, CONSTRAINT c CHECK (a > 1)) AS", "ALTER TABLE t ADD COLUMN a map<int, int> AFTER b",
		"INSERT INTO t (a) VALUES (DEFAULT), (1)", "FROM t VERSION AS OF 1 x, table_changes('t', 1, 2)", "RESTORE t TO VERSION AS OF 99999999999999999999",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		all, err := Parse(s)
		var wrong *SyntaxError
		switch {
		case err == nil:
			if slices.Contains(all, nil) {
				t.Errorf("%q: no statement", s)
			}
		case !errors.As(err, &wrong) || wrong.Offset < 0 || wrong.Offset > len(s):
			t.Errorf("%q: %v", s, err)
		default:
			_, _ = wrong.Error(), wrong.Excerpt()
		}
		at := 0
		for _, k := range scan(s) {
			if k.start < at || k.end < k.start || k.end > len(s) {
				t.Fatalf("%q: token from %d to %d", s, k.start, k.end)
			}
			at = k.end
		}
		_ = Complete(s)
		if r, err := rewrite(s); err == nil && len(r.feeds) == 0 && !strings.ContainsAny(s, "`") &&
			!strings.Contains(strings.ToUpper(s), "OF") && !strings.Contains(strings.ToUpper(s), "AT") && !strings.Contains(strings.ToLower(s), "delta") && r.sql != s {
			t.Errorf("%q became %q", s, r.sql)
		}
	})
}
