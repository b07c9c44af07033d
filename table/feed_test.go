package table_test

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// feedOf reads the change data feed of some versions: version, type, and the columns.
func (l *lake) feedOf(tab *table.Table, from, to txlog.Version, columns ...string) []string {
	l.t.Helper()
	rel, err := tab.ChangeFeed(l.t.Context(), table.ChangeRange{From: &from, To: &to})
	if err != nil {
		l.t.Fatal(err)
	}
	return l.read(rel, append([]string{table.CommitVersionColumn, table.ChangeTypeColumn}, columns...)...)
}

// cdcFiles counts the cdc actions of a version.
func (l *lake) cdcFiles(tab *table.Table, v txlog.Version) int {
	l.t.Helper()
	c, err := tab.Log().ReadCommit(l.t.Context(), v)
	if err != nil {
		l.t.Fatal(err)
	}
	n := 0
	for _, a := range c.Actions {
		if cdc, ok := a.(*txlog.CDC); ok {
			n++
			if !strings.HasPrefix(cdc.Path, "_change_data/") || !strings.Contains(cdc.Path, "cdc-") {
				l.t.Errorf("change data file %s", cdc.Path)
			}
		}
	}
	return n
}

// differs demands that a commit's feed is the difference of the snapshots around it, rows counted: what it deletes and
// inserts turns the old rows into the new ones, and each preimage has a postimage.
func (l *lake) differs(tab *table.Table, v txlog.Version, columns string) {
	l.t.Helper()
	ctx := l.t.Context()
	rel, err := tab.ChangeFeed(ctx, table.ChangeRange{From: &v, To: &v})
	if err != nil {
		l.t.Fatal(err)
	}
	relations := map[string]table.Relation{"feed": rel}
	for name, at := range map[string]txlog.Version{"before": v - 1, "after": v} {
		old, err := table.OpenAt(ctx, l.store, l.path, at)
		if err != nil {
			l.t.Fatal(err)
		}
		if relations[name], _, err = old.Relation(ctx, table.ScanOptions{}); err != nil {
			l.t.Fatal(err)
		}
	}
	signed := func(from, kinds string) string {
		return "SELECT " + columns + " FROM " + from + kinds
	}
	plus := signed("before", "") + " UNION ALL " + signed("feed", " WHERE _change_type IN ('insert', 'update_postimage')")
	minus := signed("after", "") + " UNION ALL " + signed("feed", " WHERE _change_type IN ('delete', 'update_preimage')")
	for _, sql := range []string{plus + " EXCEPT ALL (" + minus + ")", minus + " EXCEPT ALL (" + plus + ")"} {
		if rows := l.query(table.Query{SQL: sql, Relations: relations}); len(rows) > 0 {
			l.t.Errorf("version %d: the feed is not the difference: %v", v, rows)
		}
	}
	for _, bad := range l.query(table.Query{SQL: `SELECT id FROM feed WHERE _change_type LIKE 'update%' GROUP BY id
		HAVING count(*) FILTER (WHERE _change_type = 'update_preimage') <> count(*) FILTER (WHERE _change_type = 'update_postimage')`, Relations: relations}) {
		l.t.Errorf("version %d: row %s has another number of old than of new images", v, bad)
	}
}

// feedTable is parted with a change data feed.
func feedTable(l *lake) *table.Table {
	l.t.Helper()
	return parted(l, table.Create{Properties: map[string]string{"delta.enableChangeDataFeed": "true"}})
}

// TestFeedIsTheDifference runs every operation that changes rows, over every way to keep them.
func TestFeedIsTheDifference(t *testing.T) {
	for name, properties := range map[string]map[string]string{
		"vectors":     {},
		"copies":      {"delta.enableDeletionVectors": "false"},
		"by name":     {"delta.columnMapping.mode": "name"},
		"by id":       {"delta.columnMapping.mode": "id"},
		"copied id":   {"delta.columnMapping.mode": "id", "delta.enableDeletionVectors": "false"},
		"commit time": {"delta.enableInCommitTimestamps": "true"},
	} {
		for _, partitioned := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s partitioned %v", name, partitioned), func(t *testing.T) {
				l := newLake(t)
				c := table.Create{Properties: map[string]string{"delta.enableChangeDataFeed": "true"}}
				for k, v := range properties {
					c.Properties[k] = v
				}
				if partitioned {
					c.PartitionBy = []string{"p"}
				}
				feedStory(t, l, l.create("id bigint not null, v string, p string", c))
			})
		}
	}
}

func feedStory(t *testing.T, l *lake, tab *table.Table) {
	t.Helper()
	ctx := t.Context()
	did := func(what string, res *table.Result, err error, cdc bool) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		l.differs(tab, res.VersionAfter, "id, v, p")
		n := l.cdcFiles(tab, res.VersionAfter)
		if n != res.ChangeFiles || (n > 0) != cdc {
			t.Errorf("%s: %d change data files, the result says %d", what, n, res.ChangeFiles)
		}
	}
	l.append(tab, values("id, v, p", "(1, 'a', 'x')", "(2, 'b', 'x')", "(3, 'c', 'y')", "(4, 'd', 'y')", "(5, 'e', NULL)", "(6, 'f', NULL)"))
	res, err := tab.Append(ctx, l.eng, table.Append{Source: values("id, v, p", "(7, 'g', 'z')", "(8, NULL, 'z')")})
	did("append", res, err, false)
	res, err = tab.Delete(ctx, l.eng, table.Delete{Where: "id IN (1, 6)"})
	did("delete", res, err, true)
	res, err = tab.Merge(ctx, l.eng, table.Merge{
		Source: values("id, v, p", "(2, 'B', 'x')", "(3, 'C', 'x')", "(4, 'd', 'y')", "(5, NULL, NULL)", "(9, 'i', 'q')"), On: "t.id = s.id",
		Clauses: []table.Clause{{When: table.Matched, If: "s.v IS NULL", Do: table.DoDelete}, updateAll(""), insertAll("")},
	})
	did("merge", res, err, true)
	if got := l.feedOf(tab, res.VersionAfter, res.VersionAfter, "id", "v", "p"); !slices.Equal(got, []string{
		"4 delete 5 e ∅", "4 insert 9 i q", "4 update_postimage 2 B x", "4 update_postimage 3 C x", "4 update_preimage 2 b x", "4 update_preimage 3 c y",
	}) {
		t.Errorf("feed of the merge: %v", got)
	}
	res, err = tab.Merge(ctx, l.eng, table.Merge{
		Source: values("id, v, p", "(2, 'x', 'x')", "(10, 'j', 'q')"), On: "t.id = s.id", Clauses: []table.Clause{insertAll("")},
	})
	did("merge that inserts", res, err, false)
	res, err = tab.Merge(ctx, l.eng, table.Merge{
		Source: values("id", "(2)"), On: "t.id = s.id",
		Clauses: []table.Clause{{When: table.NotMatchedBySource, If: "t.id = 3", Do: table.DoUpdate, Set: []table.Assignment{{Column: "v", Value: "'orphan'"}}}},
	})
	did("merge of orphans", res, err, true)
	res, err = tab.Update(ctx, l.eng, table.Update{Set: []table.Assignment{{Column: "v", Value: "upper(v)"}, {Column: "p", Value: "'w'"}}, Where: "id IN (2, 9)"})
	did("update", res, err, true)
	if got := l.feedOf(tab, res.VersionAfter, res.VersionAfter, "id", "v", "p"); !slices.Equal(got, []string{
		fmt.Sprint(res.VersionAfter, " update_postimage 2 B w"), fmt.Sprint(res.VersionAfter, " update_postimage 9 I w"),
		fmt.Sprint(res.VersionAfter, " update_preimage 2 B x"), fmt.Sprint(res.VersionAfter, " update_preimage 9 i q"),
	}) {
		t.Errorf("feed of the update: %v", got)
	}
	res, err = tab.Append(ctx, l.eng, table.Append{Source: values("id, v, p", "(20, 'k', 'z')"), DeleteWhere: "id = 7"})
	did("replace rows", res, err, true)
	res, err = tab.Overwrite(ctx, l.eng, table.Overwrite{Source: values("id, v, p", "(21, 'l', 'z')"), Where: "id >= 20"})
	did("overwrite where", res, err, res.ChangeFiles > 0)
	one := txlog.Version(1)
	if _, err := tab.Restore(ctx, table.Restore{Version: &one}); err != nil {
		t.Fatal(err)
	}
	did("restore", &table.Result{VersionAfter: tab.Snapshot().Version()}, nil, false)
	if _, err := tab.Optimize(ctx, l.eng, table.Optimize{}); err != nil {
		t.Fatal(err)
	}
	l.differs(tab, tab.Snapshot().Version(), "id, v, p")
	res, err = tab.Overwrite(ctx, l.eng, table.Overwrite{Source: values("id, v, p", "(1, 'a', 'x')", "(30, 'm', NULL)")})
	did("overwrite", res, err, false)
	res, err = tab.Delete(ctx, l.eng, table.Delete{})
	did("delete all", res, err, false)
	if got, want := len(l.feedOf(tab, 0, tab.Snapshot().Version(), "id")), 0; got == want {
		t.Error("the whole feed is empty")
	}
}

func TestFeedRangeErrors(t *testing.T) {
	l := newLake(t)
	ctx := t.Context()
	tab := l.create("id bigint, v string", table.Create{})
	l.append(tab, values("id, v", "(1, 'a')"))
	v := func(n txlog.Version) *txlog.Version { return &n }
	if _, err := tab.ChangeFeed(ctx, table.ChangeRange{From: v(0)}); !errors.Is(err, table.ErrNoChangeFeed) {
		t.Errorf("feed that is off: %v", err)
	}
	l.alter(tab, table.Alter{SetProperties: map[string]string{"delta.enableChangeDataFeed": "true"}}) // version 2
	l.append(tab, values("id, v", "(2, 'b')"))
	for name, tc := range map[string]struct {
		r    table.ChangeRange
		want error
	}{
		"before it was on":  {table.ChangeRange{From: v(1)}, table.ErrNoChangeFeed},
		"since it is on":    {table.ChangeRange{From: v(2)}, nil},
		"end beyond newest": {table.ChangeRange{From: v(3), To: v(99)}, nil},
		"start beyond":      {table.ChangeRange{From: v(4)}, txlog.ErrVersionNotFound},
		"backwards":         {table.ChangeRange{From: v(3), To: v(2)}, table.ErrInvalidRequest},
		"negative":          {table.ChangeRange{From: v(-1)}, table.ErrInvalidRequest},
		"no start":          {table.ChangeRange{To: v(2)}, table.ErrInvalidRequest},
		"two starts":        {table.ChangeRange{From: v(2), FromTime: time.Unix(9, 0)}, table.ErrInvalidRequest},
		"two ends":          {table.ChangeRange{From: v(2), To: v(3), ToTime: time.Unix(9, 0)}, table.ErrInvalidRequest},
		"time to come":      {table.ChangeRange{FromTime: time.Unix(9_000_000_000, 0)}, txlog.ErrTimestampTooLate},
		"time long ago":     {table.ChangeRange{FromTime: time.Unix(1, 0)}, table.ErrNoChangeFeed},
	} {
		if _, err := tab.ChangeFeed(ctx, tc.r); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	l.alter(tab, table.Alter{SetProperties: map[string]string{"delta.enableChangeDataFeed": "false"}}) // version 4
	if _, err := tab.ChangeFeed(ctx, table.ChangeRange{From: v(2), To: v(4)}); !errors.Is(err, table.ErrNoChangeFeed) {
		t.Errorf("feed that went off: %v", err)
	}
	want(t, l.feedOf(tab, 2, 3, "id"), "3 insert 2")
}

func TestFeedFollowsTimes(t *testing.T) {
	l := newLake(t)
	ctx := t.Context()
	tab := l.create("id bigint", table.Create{Properties: map[string]string{"delta.enableChangeDataFeed": "true", "delta.enableInCommitTimestamps": "true"}})
	l.append(tab, values("id", "(1)"))
	at := tab.Snapshot().Timestamp()
	l.append(tab, values("id", "(2)"))
	for name, tc := range map[string]struct {
		r    table.ChangeRange
		want []string
	}{
		"at a commit":    {table.ChangeRange{FromTime: at}, []string{"1 1", "2 2"}},
		"after a commit": {table.ChangeRange{FromTime: at.Add(time.Millisecond)}, []string{"2 2"}},
		"up to a commit": {table.ChangeRange{FromTime: time.Unix(1, 0), ToTime: at}, []string{"1 1"}},
		"past the end":   {table.ChangeRange{FromTime: at, ToTime: at.Add(time.Hour)}, []string{"1 1", "2 2"}},
	} {
		rel, err := tab.ChangeFeed(ctx, tc.r)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := l.read(rel, "_commit_version", "id"); !slices.Equal(got, tc.want) {
			t.Errorf("%s: %v", name, got)
		}
		if got := l.read(rel, "DISTINCT epoch_ms(_commit_timestamp) = "+fmt.Sprint(at.UnixMilli())+" OR _commit_version > 1"); !slices.Equal(got, []string{"true"}) {
			t.Errorf("%s: commit times %v", name, got)
		}
	}
}

func TestFeedAcrossColumnChanges(t *testing.T) {
	feed := map[string]string{"delta.enableChangeDataFeed": "true", "delta.columnMapping.mode": "name", "delta.enableTypeWidening": "true"}
	long := &txlog.DataType{Kind: txlog.KindLong, Name: "long"}
	for name, tc := range map[string]struct {
		alter table.Alter
		want  error
	}{
		"added":    {table.Alter{AddColumns: []table.AddColumn{{Column: "n", Type: long}, {Column: "s.b", Type: long}}}, nil},
		"retyped":  {table.Alter{ChangeColumns: []table.ChangeColumn{{Column: "i", Type: long}}}, table.ErrSchemaMismatch},
		"inside":   {table.Alter{RenameColumns: []table.RenameColumn{{Column: "s.a", To: "c"}}}, table.ErrSchemaMismatch},
		"renamed":  {table.Alter{RenameColumns: []table.RenameColumn{{Column: "v", To: "w"}}}, table.ErrSchemaMismatch},
		"dropped":  {table.Alter{DropColumns: []string{"v"}}, table.ErrSchemaMismatch},
		"not null": {table.Alter{ChangeColumns: []table.ChangeColumn{{Column: "v", Nullable: new(bool)}}}, table.ErrSchemaMismatch},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLake(t)
			tab := l.create("id bigint, v string, i int, s struct<a: int>", table.Create{Properties: feed})
			l.append(tab, values("id, v, i, s", "(1, 'a', 7, {'a': 1})", "(2, 'b', 8, NULL)"))
			l.alter(tab, tc.alter)
			if _, err := tab.Delete(t.Context(), l.eng, table.Delete{Where: "id = 1"}); err != nil {
				t.Fatal(err)
			}
			one, last := txlog.Version(1), tab.Snapshot().Version()
			_, err := tab.ChangeFeed(t.Context(), table.ChangeRange{From: &one})
			if !errors.Is(err, tc.want) {
				t.Fatalf("%v", err)
			}
			want(t, l.feedOf(tab, last, last, "id"), "3 delete 1")
			want(t, l.feedOf(tab, 1, 1, "id", "v"), "1 insert 1 a", "1 insert 2 b")
			if tc.want == nil {
				want(t, l.feedOf(tab, 1, last, "id", "v", "n", "s"), "1 insert 1 a ∅ [1 <nil>]", "1 insert 2 b ∅ ∅", "3 delete 1 a ∅ [1 <nil>]")
			}
		})
	}
}

// A commit that gives the table other columns removes rows of the old ones.
func TestFeedOfReplacedColumns(t *testing.T) {
	l := newLake(t)
	ctx := t.Context()
	tab := l.create("id bigint, v string", table.Create{Properties: map[string]string{"delta.enableChangeDataFeed": "true"}})
	l.append(tab, values("id, v", "(1, 'a')"))
	overwrite := func(sql string) {
		t.Helper()
		if _, err := tab.Overwrite(ctx, l.eng, table.Overwrite{Source: table.Query{SQL: sql}, OverwriteSchema: true}); err != nil {
			t.Fatal(err)
		}
	}
	overwrite("SELECT 2::BIGINT AS id")
	want(t, l.feedOf(tab, 2, 2, "id"), "2 delete 1", "2 insert 2")
	overwrite("SELECT 3::INT AS id")
	three := txlog.Version(3)
	if _, err := tab.ChangeFeed(ctx, table.ChangeRange{From: &three}); !errors.Is(err, table.ErrSchemaMismatch) {
		t.Fatalf("%v", err)
	}
}

// The deleted rows of a restore showed NULL for a column that has another column's name since: R5 found it.
func TestFeedOfRestoreToAnotherColumn(t *testing.T) {
	l := newLake(t)
	ctx := t.Context()
	tab := l.create("id bigint, x int", table.Create{Properties: map[string]string{"delta.enableChangeDataFeed": "true", "delta.columnMapping.mode": "name"}})
	l.append(tab, values("id, x", "(1, 5)"))
	l.alter(tab, table.Alter{DropColumns: []string{"x"}})
	l.alter(tab, table.Alter{AddColumns: []table.AddColumn{{Column: "x", Type: &txlog.DataType{Kind: txlog.KindInteger, Name: "integer"}}}})
	l.append(tab, values("id, x", "(2, 6)"))
	one := txlog.Version(1)
	if _, err := tab.Restore(ctx, table.Restore{Version: &one}); err != nil {
		t.Fatal(err)
	}
	last := tab.Snapshot().Version()
	if _, err := tab.ChangeFeed(ctx, table.ChangeRange{From: &last}); !errors.Is(err, table.ErrSchemaMismatch) {
		t.Fatalf("%v", err)
	}
}

func TestFeedAcrossColumnMapping(t *testing.T) {
	l := newLake(t)
	tab := feedTable(l)
	l.alter(tab, table.Alter{SetProperties: map[string]string{"delta.columnMapping.mode": "name"}})
	if _, err := tab.Delete(t.Context(), l.eng, table.Delete{Where: "id IN (1, 5)"}); err != nil {
		t.Fatal(err)
	}
	want(t, l.feedOf(tab, 1, 3, "id", "p"), "1 insert 1 x", "1 insert 2 x", "1 insert 3 y", "1 insert 4 y", "1 insert 5 ∅", "1 insert 6 ∅", "3 delete 1 x", "3 delete 5 ∅")
}

// Pipelines read changes by the place of rows, whether a feed is recorded or not.
func TestChangesBesideAFeed(t *testing.T) {
	l := newLake(t)
	tab := feedTable(l)
	if _, err := tab.Merge(t.Context(), l.eng, table.Merge{
		Source: values("id, v, p", "(3, 'C', 'y')", "(7, 'g', 'x')"), On: "t.id = s.id", Clauses: []table.Clause{updateAll(""), insertAll("")},
	}); err != nil {
		t.Fatal(err)
	}
	want(t, l.changes(tab, 1, 2), "2 delete 3 c y true", "2 insert 3 C y true", "2 insert 7 g x true")
}

func TestFeedNeedsItsColumnNames(t *testing.T) {
	l := newLake(t)
	ctx := t.Context()
	schema, err := txlog.ParseColumns("id bigint, _Commit_Version bigint")
	if err != nil {
		t.Fatal(err)
	}
	c := table.Create{Schema: schema, Properties: map[string]string{"delta.enableChangeDataFeed": "true"}}
	if _, err := table.CreateTable(ctx, l.store, l.path, c); err == nil || !strings.Contains(err.Error(), "_Commit_Version") {
		t.Fatalf("%v", err)
	}
	c.Properties = nil
	tab, err := table.CreateTable(ctx, l.store, l.path, c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tab.Alter(ctx, nil, table.Alter{SetProperties: map[string]string{"delta.enableChangeDataFeed": "true"}}); err == nil || !strings.Contains(err.Error(), "_Commit_Version") {
		t.Fatalf("%v", err)
	}
	l.path = "silver/other"
	tab = l.create("id bigint", table.Create{Properties: map[string]string{"delta.enableChangeDataFeed": "true"}})
	if _, err := tab.Append(ctx, l.eng, table.Append{Source: values("id, _change_type", "(1, 'x')"), MergeSchema: true}); err == nil || !strings.Contains(err.Error(), "_change_type") {
		t.Fatalf("%v", err)
	}
	if left := l.objects(); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestFeedFileGone(t *testing.T) {
	l := newLake(t)
	ctx := t.Context()
	tab := feedTable(l)
	if _, err := tab.Delete(ctx, l.eng, table.Delete{Where: "id = 1"}); err != nil {
		t.Fatal(err)
	}
	v := tab.Snapshot().Version()
	rel, err := tab.ChangeFeed(ctx, table.ChangeRange{From: &v})
	if err != nil {
		t.Fatal(err)
	}
	if len(rel.Files) != 1 || !strings.HasPrefix(rel.Files[0].Key, l.path+"/_change_data/p=") {
		t.Fatalf("%+v", rel.Files)
	}
	if _, err := tab.Vacuum(ctx, table.Vacuum{Retain: pointer(time.Duration(0)), Force: true}); err != nil {
		t.Fatal(err)
	}
	rows, err := l.eng.Query(ctx, table.Query{SQL: "SELECT * FROM r", Relations: map[string]table.Relation{"r": rel}})
	if !errors.Is(err, txlog.ErrFileGone) {
		t.Fatalf("%v %v", rows, err)
	}
}

func TestDiscardRemovesChangeData(t *testing.T) {
	l := newLake(t)
	ctx := t.Context()
	tab := feedTable(l)
	before := l.objects()
	c, err := tab.PrepareDelete(ctx, l.eng, table.Delete{Where: "id = 1"})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(l.objects()) - len(before); n != 2 { // a vector and a change data file
		t.Fatalf("%d objects staged", n)
	}
	if err := c.Discard(ctx); err != nil {
		t.Fatal(err)
	}
	if after := l.objects(); !slices.Equal(before, after) {
		t.Errorf("left behind: %v", after)
	}
}

func TestFsckLooksForChangeData(t *testing.T) {
	l := newLake(t)
	ctx := t.Context()
	tab := feedTable(l)
	if _, err := tab.Delete(ctx, l.eng, table.Delete{Where: "id IN (1, 3)"}); err != nil {
		t.Fatal(err)
	}
	check := func(o table.Options) *table.FsckReport {
		t.Helper()
		report, err := table.Check(ctx, l.store, l.path, table.Fsck{}, o)
		if err != nil {
			t.Fatal(err)
		}
		return report
	}
	if r := check(table.Options{}); r.ChangeFiles != 2 || !r.Sound() {
		t.Fatalf("%+v", r)
	}
	var kept []string
	for _, key := range l.objects() {
		if strings.Contains(key, "/_change_data/") {
			kept = append(kept, key)
		}
	}
	body, _, err := l.store.Get(ctx, kept[0], objectstore.Range{})
	if err != nil {
		t.Fatal(err)
	}
	whole, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.store.Delete(ctx, kept...); err != nil {
		t.Fatal(err)
	}
	if _, err := l.store.Put(ctx, kept[0], objectstore.Bytes(whole[1:]), objectstore.CreateOnly); err != nil {
		t.Fatal(err)
	}
	classes := map[table.FindingClass]int{}
	r := check(table.Options{})
	for _, f := range r.Findings {
		classes[f.Class]++
	}
	if r.Sound() || classes[table.ChangeFileMissing] != 1 || classes[table.ChangeFileDiffers] != 1 {
		t.Errorf("%+v", r.Findings)
	}
	later := table.Options{Log: txlog.Options{Clock: clock.NewStepping(tab.Snapshot().Timestamp().Add(8 * 24 * time.Hour))}}
	if r := check(later); !r.Sound() || r.ChangeFiles != 0 {
		t.Errorf("after the retention: %+v", r)
	}
	if _, err := tab.Vacuum(ctx, table.Vacuum{Retain: pointer(time.Duration(0)), Force: true}); err != nil {
		t.Fatal(err)
	}
	if r := check(table.Options{}); !r.Sound() {
		t.Errorf("after a vacuum that keeps nothing: %+v", r)
	}
}
