package duckdb

import (
	"context"
	"testing"

	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// Some combinations of DuckDB's optimiser steps fail on plain statements; then a scan would silently read every
// column and every file. Each shape here must have a plan that can be read.
func TestPlansCanBeRead(t *testing.T) {
	e, err := Open(Options{TempDir: t.TempDir(), Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = e.Close() }()
	schema, err := txlog.ParseColumns("id bigint, s string, d date, n int, f double, b boolean, ts timestamp, st struct<a:int,b:int>, l array<int>")
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{
		"SELECT id, id + 1 x, upper(s) FROM t WHERE CAST(id AS VARCHAR) = '3' AND f <> 3 LIMIT 5",
		"SELECT id FROM t WHERE id > 3 LIMIT 5",
		"SELECT id FROM t WHERE id > 3 ORDER BY s LIMIT 5 OFFSET 2",
		"SELECT * FROM t WHERE id > 3 ORDER BY s",
		"WITH c AS (SELECT * FROM t) SELECT id FROM c WHERE id = 3",
		"WITH c AS (SELECT * FROM t), e AS (SELECT * FROM c WHERE n = 4) SELECT id FROM e JOIN c USING (id) WHERE e.s > 'x'",
		"WITH c AS MATERIALIZED (SELECT * FROM t) SELECT a.id FROM c a, c b WHERE a.id = b.n",
		"SELECT s, sum(n)::BIGINT FROM t WHERE d = '2020-01-01' GROUP BY s HAVING sum(n) > 3",
		"SELECT DISTINCT s FROM t WHERE id = 4",
		"SELECT DISTINCT ON (s) s, n FROM t ORDER BY n",
		"SELECT *, row_number() OVER (PARTITION BY s ORDER BY id) r FROM t WHERE d > '2020-01-01' QUALIFY r = 1",
		"SELECT * FROM t WHERE id IN (SELECT id FROM u WHERE n = 3)",
		"SELECT * FROM t WHERE id NOT IN (SELECT id FROM u WHERE n = 3)",
		"SELECT * FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.id = t.id AND u.s > t.s)",
		"SELECT t.*, (SELECT max(u.n) FROM u WHERE u.id = t.id AND u.n > 4) FROM t WHERE t.n = 1",
		"SELECT * FROM t FULL JOIN u USING (id) WHERE t.n = 3",
		"SELECT * FROM t LEFT JOIN u ON t.id = u.id WHERE u.n IS NULL",
		"SELECT * FROM t ASOF JOIN u ON t.ts >= u.ts",
		"SELECT * FROM t SEMI JOIN u USING (id)",
		"SELECT * FROM t, LATERAL (SELECT u.n q FROM u WHERE u.id = t.id LIMIT 1)",
		"SELECT unnest(l) x, id FROM t WHERE id = 3",
		"SELECT * FROM t UNION ALL SELECT * FROM u WHERE id = 3",
		"SELECT * FROM t EXCEPT SELECT * FROM u",
		"SELECT count(*) FROM t",
		"SELECT count(*) FROM t WHERE b",
		"SELECT CASE WHEN id > 3 THEN 1 END FROM t",
		"SELECT * FROM (SELECT * FROM t WHERE id = 3) a, (SELECT * FROM t WHERE id = 4) b",
		"WITH RECURSIVE r AS (SELECT id, n FROM t WHERE id = 1 UNION ALL SELECT t.id, t.n FROM r, t WHERE t.id = r.n) SELECT * FROM r",
		"SELECT * FROM t TABLESAMPLE 10%",
		"SELECT st.a FROM t WHERE st.a = 3",
		"SELECT max(ts) FROM t WHERE ts < now()",
		"SELECT * FROM (VALUES (1), (2)) v(id) JOIN t USING (id)",
		"SELECT id FROM t WHERE id = 3 OR n = 4",
		"SELECT lead(id) OVER (ORDER BY ts) FROM t",
		"SELECT id FROM t WHERE s LIKE '%x%' AND s ILIKE 'a%'",
		"SELECT t.id FROM t, range(3) r(i) WHERE t.id = r.i",
		"SELECT list(id ORDER BY n) FROM t GROUP BY ALL",
		"SELECT id FROM t GROUP BY GROUPING SETS ((id), ())",
		"SELECT * FROM t WHERE (id, n) IN ((1, 2), (3, 4))",
		"SELECT * FROM t PIVOT (sum(f) FOR b IN (true, false) GROUP BY s)",
		"SELECT s, v FROM t UNPIVOT (v FOR c IN (n, id))",
	} {
		if !planned(t, e, schema, sql) {
			t.Errorf("%s: no plan", sql)
		}
	}
}

// planned tells whether the optimised plan of a statement can be read.
func planned(t *testing.T, e *Engine, schema *txlog.Schema, sql string) bool {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	s, err := e.open(ctx, kind{analysis: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	tree, err := s.parse(ctx, sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	refs, err := tree.refs(ctx)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	places, _ := assign(refs)
	st := &table.Statement{}
	for _, p := range places {
		st.Tables = append(st.Tables, p.ref.table())
	}
	a := &analysis{session: s, source: sql, sql: sql, places: places, statement: st}
	if err := a.run(ctx, func(table.TableRef) (*txlog.Schema, error) { return schema, nil }, nil); err != nil {
		t.Errorf("%s: %v", sql, err)
	}
	plan, err := a.plan(ctx)
	return err == nil && plan != nil
}
