package enginetest

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/google/go-cmp/cmp"

	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/table"
)

func (s *suite) partitions() {
	for _, store := range []objectstore.Store{s.local, s.remote} {
		w := table.Write{Schema: s.columns("id int, p string, q int"), PartitionBy: []string{"P", "q"}, Store: store}
		values := []string{
			"plain", "a/b", "%2F", "a=b", "..", "ä ö", "'", `"`, "*?[x]", "#:;,", "a\nb", "{}^~", " ",
			"__HIVE_DEFAULT_PARTITION__", strings.Repeat("long", 100),
		}
		var selects, want []string
		for i, v := range values {
			selects = append(selects, fmt.Sprintf("SELECT %d id, %s p, %d q", i, table.QuoteString(v), i%2))
			want = append(want, fmt.Sprintf("%d | %s | %d", i, text(v), i%2))
		}
		selects = append(selects, "SELECT 100 id, NULL p, NULL q", "SELECT 101 id, '' p, 1 q")
		want = append(want, "100 | NULL | NULL", "101 | NULL | 1") // the protocol cannot tell '' from NULL
		files := s.write(strings.Join(selects, " UNION ALL "), w)
		r := relations{"t": relation(w, files...)}
		s.want("SELECT * FROM t", r, want...)
		s.want("SELECT id FROM t WHERE p = 'a/b' AND q = 1", r, "1")
		s.want("SELECT q, count(*) FROM t WHERE p IS NULL GROUP BY q", r, "NULL | 1", "1 | 1")
		for _, f := range files {
			if !strings.HasPrefix(f.Key, "t/p=") || !strings.HasPrefix(path.Base(f.Key), "part-") || strings.Count(f.Key, "/") != 3 {
				s.Errorf("key %q", f.Key)
			}
			if f.Partition["p"] == "a/b" && !strings.HasPrefix(f.Key, "t/p=a%2Fb/q=1/part-") {
				s.Errorf("key %q of the partition a/b", f.Key)
			}
			if f.Partition["p"] == "" && !strings.HasPrefix(f.Key, "t/p=__HIVE_DEFAULT_PARTITION__/") {
				s.Errorf("key %q of the partition NULL", f.Key)
			}
		}
	}
	w := table.Write{Schema: s.columns("p int, id int"), PartitionBy: []string{"p"}, KeepPartitionColumns: true}
	files := s.write("SELECT 1 p, 2 id", w)
	kept := table.Relation{Schema: s.columns("id int, p int"), Files: relation(w, files...).Files}
	s.want("SELECT * FROM t", relations{"t": kept}, "2 | 1")
	_, err := s.tryWrite("SELECT 1 p", table.Write{Schema: s.columns("p int"), PartitionBy: []string{"p"}})
	if err == nil {
		s.Error("a file without columns was accepted")
	}
}

func (s *suite) partitionTypes() {
	for _, c := range []struct{ kind, value, text, row string }{
		{"boolean", "true", "true", "true"},
		{"tinyint", "-5", "-5", "-5"},
		{"bigint", "9223372036854775807", "9223372036854775807", "9223372036854775807"},
		{"date", "DATE '1500-01-02'", "1500-01-02", "1500-01-02"},
		{"decimal(38,10)", "'-0.0000000001'", "-0.0000000001", "-0.0000000001"},
		{"timestamp", "TIMESTAMPTZ '2024-01-01 02:00:00.5+02'", "2024-01-01T00:00:00.500000Z", "2024-01-01T00:00:00.500000Z"},
		{"timestamp_ntz", "TIMESTAMP '2024-01-01 02:00:00'", "2024-01-01 02:00:00.000000", "2024-01-01T02:00:00.000000Z"},
		{"string", "'é'", "é", `"é"`},
		{"double", "0.1", "0.1", "0.1d"},
		{"float", "0.1", "0.1", "0.1f"},
		{"binary", "'\\x61\\x62'::BLOB", "ab", "x6162"},
	} {
		w := table.Write{Schema: s.columns("id int, p " + c.kind), PartitionBy: []string{"p"}, Prefix: "pt/" + c.kind[:3] + "/"}
		files := s.write("SELECT 1 id, "+c.value+" p UNION ALL SELECT 2, NULL", w)
		if len(files) != 2 {
			s.Fatalf("%s: %d files", c.kind, len(files))
		}
		var got []string
		for _, f := range files {
			got = append(got, f.Partition["p"])
		}
		slices.Sort(got)
		if d := cmp.Diff([]string{"", c.text}, got); d != "" {
			s.Errorf("%s: partition values (-want +got):\n%s", c.kind, d)
		}
		for _, zone := range []string{"", "America/New_York"} {
			rows, err := s.tryQuery(table.Query{SQL: "SELECT id, p FROM t ORDER BY id", Relations: relations{"t": relation(w, files...)}, TimeZone: zone})
			if d := cmp.Diff([]string{"1 | " + c.row, "2 | NULL"}, rows); err != nil || d != "" {
				s.Errorf("%s in zone %q: %v, rows (-want +got):\n%s", c.kind, zone, err, d)
			}
		}
	}
}

func (s *suite) manyPartitions() {
	w := table.Write{Schema: s.columns("id int, p int, s string"), PartitionBy: []string{"p"}}
	files := s.write("SELECT i id, (i % 500)::INT p, repeat('x', 100) || i s FROM range(50000) r(i)", w)
	if len(files) < 500 {
		s.Errorf("%d files", len(files))
	}
	var rows int64
	for _, f := range files {
		rows += f.Rows
	}
	if rows != 50000 {
		s.Errorf("%d rows", rows)
	}
	s.want("SELECT count(*), count(DISTINCT p), sum(id), bool_and(id % 500 = p) FROM t", relations{"t": relation(w, files...)},
		"50000 | 500 | 1249975000 | true")
}

// ordered checks that files hold disjoint ranges in order, are about as large as asked for, and are never empty.
func (s *suite) ordered() {
	for _, by := range [][]string{nil, {"p"}} {
		w := table.Write{
			Schema: s.columns("k int, s string, p int"), Ordered: true, TargetFileSize: 2 << 20, PartitionBy: by,
			Prefix: fmt.Sprintf("o%d/", len(by)),
		}
		files := s.write("SELECT (i * 7919 % 1000003)::INT k, md5(i::VARCHAR) s, (i % 2)::INT p FROM range(1000000) r(i) ORDER BY k", w)
		if len(files) < 4 {
			s.Errorf("%d files", len(files))
		}
		rel := relation(w, files...)
		rel.Position = true
		r := relations{"t": rel}
		s.want("SELECT count(*), count(DISTINCT k) FROM t", r, "1000000 | 1000000")
		s.want(`SELECT count(*) FROM (SELECT k, lag(k) OVER (PARTITION BY _lake_file ORDER BY _lake_row) AS before FROM t) WHERE before > k`, r, "0")
		s.want(`SELECT count(*) FROM (SELECT min(k) AS a, max(k) AS b, any_value(p) AS p, _lake_file AS f FROM t GROUP BY f) x
			JOIN (SELECT min(k) AS a, max(k) AS b, any_value(p) AS p, _lake_file AS f FROM t GROUP BY f) y
			ON x.f < y.f AND x.a <= y.b AND y.a <= x.b`+map[bool]string{true: " AND x.p = y.p"}[len(by) > 0], r, "0")
		for _, f := range files {
			if f.Rows == 0 || f.Size > 5<<20 {
				s.Errorf("file of %d rows and %d bytes", f.Rows, f.Size)
			}
		}
	}
}

func (s *suite) scratch() {
	w := table.Write{Schema: s.columns("a int"), Prefix: "scratch/"}
	files, err := s.engine.Write(s.Context(), table.Query{SQL: "SELECT 1 a"}, w)
	if err != nil || len(files) != 1 || files[0].Store == nil {
		s.Fatalf("files %v, error %v", files, err)
	}
	s.want("SELECT * FROM t", relations{"t": relation(w, files...)}, "1")
	if err := files[0].Store.Delete(s.Context(), files[0].Key); err != nil {
		s.Error(err)
	}
}

// failing refuses every put after the first few.
type failing struct {
	objectstore.Store
	left atomic.Int64
	err  error
}

func (f *failing) Put(ctx context.Context, key string, body objectstore.Body, c objectstore.Condition) (objectstore.Info, error) {
	if f.left.Add(-1) < 0 {
		return objectstore.Info{}, f.err
	}
	return f.Store.Put(ctx, key, body, c)
}

func (s *suite) failedPut() {
	store := &failing{Store: s.remote, err: objectstore.ErrDenied}
	store.left.Store(3)
	w := table.Write{Schema: s.columns("a int, p int"), PartitionBy: []string{"p"}, Store: store}
	if _, err := s.tryWrite("SELECT i a, i p FROM range(8) r(i)", w); !errors.Is(err, objectstore.ErrDenied) {
		s.Errorf("error %v, want the store's", err)
	}
	if keys := s.keys(s.remote); len(keys) > 0 {
		s.Errorf("left behind: %v", keys)
	}
}
