package table_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

func updateAll(cond string) table.Clause {
	return table.Clause{When: table.Matched, If: cond, Do: table.DoUpdate, Star: true}
}

func insertAll(cond string) table.Clause {
	return table.Clause{When: table.NotMatched, If: cond, Do: table.DoInsert, Star: true}
}

func deleteIf(cond string) table.Clause {
	return table.Clause{When: table.Matched, If: cond, Do: table.DoDelete}
}

// keyed is a table of four rows in two files, ids 1, 2 and 11, 12.
func keyed(l *lake, c table.Create) *table.Table {
	l.t.Helper()
	tab := l.create("id bigint, name string, n int", c)
	l.append(tab, values("id, name, n", "(1, 'a', 10)", "(2, 'b', 20)"))
	l.append(tab, values("id, name, n", "(11, 'k', 110)", "(12, 'l', 120)"))
	return tab
}

// The first of two source columns of one name was taken without a word.
func TestTwinsInTheSourceAreRefused(t *testing.T) {
	l := newLake(t)
	tab := keyed(l, table.Create{})
	for _, sql := range []string{"SELECT 1 AS id, 2 AS id", "SELECT 1 AS id, 2 AS \"ID\"; -- done", "SELECT * FROM (SELECT 1 AS id) a JOIN (SELECT 1 AS id) b ON a.id = b.id"} {
		src := table.Query{SQL: sql}
		set := table.Clause{When: table.Matched, Do: table.DoUpdate, Set: []table.Assignment{{Column: "n", Value: "s.id"}}}
		for name, write := range map[string]func() error{
			"merge": func() error {
				_, err := tab.Merge(t.Context(), l.eng, table.Merge{Source: src, On: "t.id = s.id", Clauses: []table.Clause{set}})
				return err
			},
			"append": func() error { _, err := tab.Append(t.Context(), l.eng, table.Append{Source: src}); return err },
			"evolve": func() error {
				_, err := tab.Append(t.Context(), l.eng, table.Append{Source: src, MergeSchema: true})
				return err
			},
			"overwrite": func() error { _, err := tab.Overwrite(t.Context(), l.eng, table.Overwrite{Source: src}); return err },
			"new schema": func() error {
				_, err := tab.Overwrite(t.Context(), l.eng, table.Overwrite{Source: src, OverwriteSchema: true})
				return err
			},
		} {
			var e *table.SQLError
			if err := write(); !errors.As(err, &e) || !strings.Contains(e.Message, `two columns have one name: "id" and "`) {
				t.Errorf("%s of %s: %v", name, sql, err)
			}
		}
	}
	want(t, l.rows(tab), "1 a 10", "2 b 20", "11 k 110", "12 l 120")
}

func TestMergeUpsert(t *testing.T) {
	onStores(t, func(t *testing.T, l *lake) {
		t.Helper()
		tab := keyed(l, table.Create{})
		res, err := tab.Merge(t.Context(), l.eng, table.Merge{
			Source: values("id, name, n", "(2, 'B', 21)", "(3, 'c', 30)"), On: "t.id = s.id",
			Clauses: []table.Clause{updateAll(""), insertAll("")},
		})
		if err != nil {
			t.Fatal(err)
		}
		if res.RowsUpdated != 1 || res.RowsInserted != 1 || res.RowsDeleted != 0 || res.RowsSource != 2 ||
			res.FilesSkippedStats != 1 || res.FilesScanned != 1 || res.FilesMatched != 1 || res.DeletionVectors != 1 || res.FilesAdded != 1 {
			t.Fatalf("%+v", res)
		}
		want(t, l.rows(tab), "1 a 10", "2 B 21", "3 c 30", "11 k 110", "12 l 120")
	})
}

func TestMergeWithoutVectorsCopies(t *testing.T) {
	l := newLake(t)
	tab := keyed(l, table.Create{Properties: map[string]string{"delta.enableDeletionVectors": "false"}})
	res, err := tab.Merge(t.Context(), l.eng, table.Merge{
		Source: values("id, name, n", "(2, 'B', 21)", "(11, 'K', 0)", "(12, 'L', 0)"), On: "t.id = s.id",
		Clauses: []table.Clause{deleteIf("s.n = 0 AND t.id = 12"), updateAll("")},
	})
	if err != nil || res.DeletionVectors != 0 || res.RowsCopied != 1 || res.FilesRemoved != 2 || res.FilesRewritten != 1 {
		t.Fatalf("%+v %v", res, err)
	}
	want(t, l.rows(tab), "1 a 10", "2 B 21", "11 K 0")
}

func TestMergeClausesApplyInOrder(t *testing.T) {
	l := newLake(t)
	tab := keyed(l, table.Create{})
	res, err := tab.Merge(t.Context(), l.eng, table.Merge{
		Source: values("id, op, n", "(1, 'del', 0)", "(2, 'add', 5)", "(11, 'none', 0)", "(4, 'add', 4)", "(5, 'skip', 5)", "(NULL, 'add', 6)"),
		On:     "t.id = s.id",
		Clauses: []table.Clause{
			deleteIf("s.op = 'del'"),
			{When: table.Matched, If: "s.op = 'add'", Do: table.DoUpdate, Set: []table.Assignment{{Column: "N", Value: "t.n + s.n"}}},
			{When: table.NotMatched, If: "s.op = 'add'", Do: table.DoInsert, Set: []table.Assignment{{Column: "id", Value: "s.id"}, {Column: "n", Value: "s.n * 100"}}},
		},
	})
	if err != nil || res.RowsDeleted != 1 || res.RowsUpdated != 1 || res.RowsInserted != 2 {
		t.Fatalf("%+v %v", res, err)
	}
	want(t, l.rows(tab), "2 b 25", "11 k 110", "12 l 120", "4 ∅ 400", "∅ ∅ 600")
}

func TestMergeNullKeysMatchNothing(t *testing.T) {
	l := newLake(t)
	tab := keyed(l, table.Create{})
	l.append(tab, values("id, name, n", "(NULL, 'null', 0)"))
	res, err := tab.Merge(t.Context(), l.eng, table.Merge{
		Source: values("id, name, n", "(NULL, 'again', 1)"), On: "t.id = s.id", Clauses: []table.Clause{updateAll(""), insertAll("")},
	})
	if err != nil || res.RowsInserted != 1 || res.RowsUpdated != 0 {
		t.Fatalf("%+v %v", res, err)
	}
	want(t, l.rows(tab), "1 a 10", "2 b 20", "11 k 110", "12 l 120", "∅ null 0", "∅ again 1")
	_, err = tab.Delete(t.Context(), l.eng, table.Delete{Where: "name = 'again'"})
	if err != nil {
		t.Fatal(err)
	}
	res, err = tab.Merge(t.Context(), l.eng, table.Merge{
		Source: values("id, name, n", "(NULL, 'found', 1)"), On: "t.id IS NOT DISTINCT FROM s.id", Clauses: []table.Clause{updateAll(""), insertAll("")},
	})
	if err != nil || res.RowsInserted != 0 || res.RowsUpdated != 1 {
		t.Fatalf("null-safe: %+v %v", res, err)
	}
	want(t, l.rows(tab), "1 a 10", "2 b 20", "11 k 110", "12 l 120", "∅ found 1")
}

func TestMergeAmbiguousMatchListsTheKeys(t *testing.T) {
	l := newLake(t)
	tab := keyed(l, table.Create{})
	objects := len(l.objects())
	m := table.Merge{
		Source:  values("id, name, n", "(2, 'x', 1)", "(2, 'y', 2)", "(1, 'z', 3)", "(7, 'p', 1)", "(7, 'q', 1)"),
		On:      "t.id = s.id",
		Clauses: []table.Clause{updateAll(""), insertAll("")},
	}
	_, err := tab.Merge(t.Context(), l.eng, m)
	var ambiguous *table.AmbiguousMatchError
	if !errors.As(err, &ambiguous) || !errors.Is(err, table.ErrAmbiguousMatch) {
		t.Fatalf("%v", err)
	}
	if len(ambiguous.Keys) != 1 || ambiguous.Keys[0][0] != int64(2) || ambiguous.Columns[0] != "id" || ambiguous.More {
		t.Fatalf("%+v", ambiguous)
	}
	if n := len(l.objects()); n != objects {
		t.Fatalf("a refused merge left %d files", n-objects)
	}
	if tab.Snapshot().Version() != 2 {
		t.Fatalf("version %d", tab.Snapshot().Version())
	}
	// Only rows to which a clause applies count.
	m.Clauses = []table.Clause{updateAll("s.name = 'x'"), insertAll("")}
	res, err := tab.Merge(t.Context(), l.eng, m)
	if err != nil || res.RowsUpdated != 1 || res.RowsInserted != 2 {
		t.Fatalf("%+v %v", res, err)
	}
	want(t, l.rows(tab), "1 a 10", "2 x 1", "11 k 110", "12 l 120", "7 p 1", "7 q 1")
	// A delete without condition may meet a row twice.
	m.Clauses = []table.Clause{deleteIf("")}
	res, err = tab.Merge(t.Context(), l.eng, m)
	if err != nil || res.RowsDeleted != 4 {
		t.Fatalf("%+v %v", res, err)
	}
	want(t, l.rows(tab), "11 k 110", "12 l 120")
}

func TestMergeAmbiguousMatchListsTenKeys(t *testing.T) {
	l := newLake(t)
	tab := l.create("id bigint, n int", table.Create{})
	l.append(tab, table.Query{SQL: "SELECT i AS id, 0 AS n FROM range(20) r(i)"})
	_, err := tab.Merge(t.Context(), l.eng, table.Merge{
		Source: table.Query{SQL: "SELECT i % 20 AS id, i AS n FROM range(40) r(i)"}, On: "t.id = s.id", Clauses: []table.Clause{updateAll("")},
	})
	var ambiguous *table.AmbiguousMatchError
	if !errors.As(err, &ambiguous) || len(ambiguous.Keys) != table.AmbiguousKeysMax || !ambiguous.More {
		t.Fatalf("%v", err)
	}
}

func TestMergeLeavesEqualRowsAlone(t *testing.T) {
	l := newLake(t)
	tab := keyed(l, table.Create{})
	l.append(tab, values("id, name, n", "(20, NULL, NULL)"))
	m := table.Merge{
		Source: values("id, name, n", "(1, 'a', 10)", "(2, 'B', 20)", "(12, 'l', 121)", "(20, NULL, NULL)"), On: "t.id = s.id",
		Clauses: []table.Clause{updateAll(""), insertAll("")},
	}
	res, err := tab.Merge(t.Context(), l.eng, m)
	if err != nil || res.RowsUpdated != 2 || res.RowsUnchanged != 2 || res.DeletionVectors != 2 {
		t.Fatalf("%+v %v", res, err)
	}
	rows := []string{"1 a 10", "2 B 20", "11 k 110", "12 l 121", "20 ∅ ∅"}
	want(t, l.rows(tab), rows...)
	again, err := tab.Merge(t.Context(), l.eng, m)
	if err != nil || again.VersionAfter != res.VersionAfter || again.RowsUnchanged != 4 || again.RowsUpdated != 0 {
		t.Fatalf("a merge of what is there: %+v %v", again, err)
	}
	m.RewriteEqual = true
	again, err = tab.Merge(t.Context(), l.eng, m)
	if err != nil || again.VersionAfter != res.VersionAfter+1 || again.RowsUpdated != 4 {
		t.Fatalf("RewriteEqual: %+v %v", again, err)
	}
	want(t, l.rows(tab), rows...)
}

func TestMergeTwiceWithOneTxn(t *testing.T) {
	l := newLake(t)
	tab := keyed(l, table.Create{})
	m := table.Merge{
		Source: values("id, name, n", "(NULL, 'x', 1)"), On: "t.id = s.id", Clauses: []table.Clause{insertAll("")},
		Meta: table.ChangeMeta{Txns: []txlog.Txn{{AppID: "nightly", Version: 7}}},
	}
	if _, err := tab.Merge(t.Context(), l.eng, m); err != nil {
		t.Fatal(err)
	}
	res, err := tab.Merge(t.Context(), l.eng, m)
	if err != nil || !res.AlreadyDone || res.RowsInserted != 0 {
		t.Fatalf("%+v %v", res, err)
	}
	if n := len(l.rows(tab)); n != 5 {
		t.Fatalf("%d rows", n)
	}
}

func TestMergeStarWantsTheSameColumns(t *testing.T) {
	l := newLake(t)
	tab := keyed(l, table.Create{})
	m := table.Merge{On: "t.id = s.id", Clauses: []table.Clause{updateAll(""), insertAll("")}}
	for name, src := range map[string]table.Query{
		`"extra"`: values("id, name, n, extra", "(1, 'a', 1, 2.5)"),
		`"n"`:     values("id, name", "(1, 'a')"),
	} {
		m.Source = src
		if _, err := tab.Merge(t.Context(), l.eng, m); !errors.Is(err, table.ErrSchemaMismatch) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	m.Source, m.MergeSchema = values("id, extra, name", "(2, 2.5, 'B')", "(3, 3.5, 'c')"), true
	if _, err := tab.Merge(t.Context(), l.eng, m); err != nil {
		t.Fatal(err)
	}
	want(t, l.rows(tab), "1 a 10 ∅", "2 B 20 2.5", "3 c ∅ 3.5", "11 k 110 ∅", "12 l 120 ∅")
}

func TestMergeRefusals(t *testing.T) {
	l := newLake(t)
	tab := keyed(l, table.Create{})
	src := values("id, name, n", "(1, 'x', 1)")
	set := []table.Assignment{{Column: "n", Value: "1"}}
	var sqlErr *table.SQLError
	for name, tt := range map[string]struct {
		m    table.Merge
		want error
	}{
		"no condition":        {table.Merge{Source: src, Clauses: []table.Clause{updateAll("")}}, table.ErrInvalidRequest},
		"no clause":           {table.Merge{Source: src, On: "t.id = s.id"}, table.ErrInvalidRequest},
		"clause after last":   {table.Merge{Source: src, On: "t.id = s.id", Clauses: []table.Clause{updateAll(""), deleteIf("s.n = 1")}}, table.ErrInvalidRequest},
		"update of unmatched": {table.Merge{Source: src, On: "t.id = s.id", Clauses: []table.Clause{{When: table.NotMatched, Do: table.DoUpdate, Star: true}}}, table.ErrInvalidRequest},
		"star and list":       {table.Merge{Source: src, On: "t.id = s.id", Clauses: []table.Clause{{Do: table.DoUpdate, Star: true, Set: set}}}, table.ErrInvalidRequest},
		"neither":             {table.Merge{Source: src, On: "t.id = s.id", Clauses: []table.Clause{{Do: table.DoUpdate}}}, table.ErrInvalidRequest},
		"set twice":           {table.Merge{Source: src, On: "t.id = s.id", Clauses: []table.Clause{{Do: table.DoUpdate, Set: append(set, set...)}}}, table.ErrInvalidRequest},
		"set unknown":         {table.Merge{Source: src, On: "t.id = s.id", Clauses: []table.Clause{{Do: table.DoUpdate, Set: []table.Assignment{{Column: "x", Value: "1"}}}}}, table.ErrInvalidRequest},
		"one alias":           {table.Merge{Source: src, On: "t.id = s.id", TargetAlias: "s", Clauses: []table.Clause{updateAll("")}}, table.ErrInvalidRequest},
		"orphan with star":    {table.Merge{Source: src, On: "t.id = s.id", Clauses: []table.Clause{{When: table.NotMatchedBySource, Do: table.DoUpdate, Star: true}}}, table.ErrInvalidRequest},
		"orphan inserted":     {table.Merge{Source: src, On: "t.id = s.id", Clauses: []table.Clause{{When: table.NotMatchedBySource, Do: table.DoInsert, Set: set}}}, table.ErrInvalidRequest},
		"no source":           {table.Merge{On: "t.id = s.id", Clauses: []table.Clause{updateAll("")}}, table.ErrInvalidRequest},
	} {
		if _, err := tab.Merge(t.Context(), l.eng, tt.m); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	for name, m := range map[string]table.Merge{
		"insert names the target": {Source: src, On: "t.id = s.id", Clauses: []table.Clause{{When: table.NotMatched, If: "t.id IS NULL", Do: table.DoInsert, Star: true}}},
		"orphan names the source": {Source: src, On: "t.id = s.id", Clauses: []table.Clause{{When: table.NotMatchedBySource, If: "s.id IS NULL", Do: table.DoDelete}}},
		"unknown column":          {Source: src, On: "t.id = s.nothing", Clauses: []table.Clause{updateAll("")}},
		"syntax":                  {Source: src, On: "t.id = = s.id", Clauses: []table.Clause{updateAll("")}},
		"another table":           {Source: src, On: "t.id IN (SELECT id FROM secrets)", Clauses: []table.Clause{updateAll("")}},
	} {
		if _, err := tab.Merge(t.Context(), l.eng, m); err == nil || !errors.As(err, &sqlErr) && !errors.Is(err, table.ErrInvalidRequest) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if tab.Snapshot().Version() != 2 {
		t.Fatalf("version %d after refused merges", tab.Snapshot().Version())
	}
}

func TestMergeNotNullIsEnforced(t *testing.T) {
	l := newLake(t)
	tab := l.create("id bigint not null, name string not null", table.Create{})
	l.append(tab, values("id, name", "(1, 'a')"))
	for _, src := range []table.Query{values("id, name", "(1, NULL)"), values("id, name", "(2, NULL)")} {
		_, err := tab.Merge(t.Context(), l.eng, table.Merge{Source: src, On: "t.id = s.id", Clauses: []table.Clause{updateAll(""), insertAll("")}})
		var broken *table.ConstraintError
		if !errors.As(err, &broken) || broken.Column != "name" {
			t.Fatalf("%v", err)
		}
	}
	want(t, l.rows(tab), "1 a")
}

// Another writer changes what a merge read between its plan and its commit: the merge plans again.
func TestMergePlansAgainAfterAConflict(t *testing.T) {
	l := newLake(t)
	tab := keyed(l, table.Create{})
	stale, err := table.Open(t.Context(), l.store, l.path)
	if err != nil {
		t.Fatal(err)
	}
	upsert := func(tab *table.Table, rows ...string) (*table.Result, error) {
		return tab.Merge(t.Context(), l.eng, table.Merge{
			Source: values("id, name, n", rows...), On: "t.id = s.id", Clauses: []table.Clause{updateAll(""), insertAll("")},
		})
	}
	if _, err := upsert(tab, "(2, 'first', 1)", "(3, 'first', 1)"); err != nil {
		t.Fatal(err)
	}
	res, err := upsert(stale, "(2, 'second', 2)", "(3, 'second', 2)")
	if err != nil || res.RowsUpdated != 2 || res.RowsInserted != 0 || res.Attempts < 2 {
		t.Fatalf("%+v %v", res, err)
	}
	if len(res.Replanned) != 1 || !strings.Contains(res.Replanned[0], "by version 3 (MERGE)") || res.Rebased != nil {
		t.Fatalf("replanned %q, rebased %v", res.Replanned, res.Rebased)
	}
	want(t, l.rows(stale), "1 a 10", "2 second 2", "3 second 2", "11 k 110", "12 l 120")
}

// A commit elsewhere in the table is harmless: the merge lands after it as it was planned.
func TestMergeRebasesOverHarmlessCommits(t *testing.T) {
	l := newLake(t)
	tab := keyed(l, table.Create{})
	stale, err := table.Open(t.Context(), l.store, l.path)
	if err != nil {
		t.Fatal(err)
	}
	l.append(tab, values("id, name, n", "(100, 'far', 1)"))
	c, err := stale.PrepareMerge(t.Context(), l.eng, table.Merge{
		Source: values("id, name, n", "(2, 'B', 2)"), On: "t.id = s.id", Clauses: []table.Clause{updateAll("")},
	})
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.Commit(t.Context())
	if err != nil || res.VersionAfter != 4 || !slices.Equal(res.Rebased, []txlog.Version{3}) || res.Replanned != nil {
		t.Fatalf("%+v %v", res, err)
	}
	want(t, l.rows(stale), "1 a 10", "2 B 2", "11 k 110", "12 l 120", "100 far 1")
}

func TestMergeCommitInfoIsThatOfSpark(t *testing.T) {
	l := newLake(t)
	tab := keyed(l, table.Create{})
	res, err := tab.Merge(t.Context(), l.eng, table.Merge{
		Source: values("id, name, n", "(2, 'B', 21)", "(3, 'c', 30)", "(11, 'k', -1)"), On: "t.id = s.id",
		Clauses: []table.Clause{deleteIf("s.n < 0"), updateAll(""), insertAll("")},
		Meta:    table.ChangeMeta{UserMetadata: "hello", Extra: map[string]json.RawMessage{"lake": json.RawMessage(`{"plan":7}`)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	commit, err := tab.Log().ReadCommit(t.Context(), res.VersionAfter)
	if err != nil {
		t.Fatal(err)
	}
	info := commit.Info
	if info.Operation != "MERGE" || info.UserMetadata != "hello" || string(info.Extra["lake"]) != `{"plan":7}` || info.TxnID != res.TxnID {
		t.Fatalf("%+v", info)
	}
	for key, wanted := range map[string]string{
		"predicate":                    `["t.id = s.id"]`,
		"matchedPredicates":            `[{"actionType":"delete","predicate":"s.n < 0"},{"actionType":"update"}]`,
		"notMatchedPredicates":         `[{"actionType":"insert"}]`,
		"notMatchedBySourcePredicates": `[]`,
	} {
		if got := strings.ReplaceAll(info.OperationParameters[key], `\u003c`, "<"); got != wanted {
			t.Errorf("%s = %s, want %s", key, got, wanted)
		}
	}
	for key, wanted := range map[string]string{
		"numSourceRows": "3", "numTargetRowsInserted": "1", "numTargetRowsUpdated": "1", "numTargetRowsDeleted": "1",
		"numTargetRowsCopied": "0", "numOutputRows": "2", "numTargetFilesAdded": "1", "numTargetFilesRemoved": "0",
		"numTargetDeletionVectorsAdded": "2", "numTargetDeletionVectorsUpdated": "0",
	} {
		if got := info.OperationMetrics[key]; got != wanted {
			t.Errorf("%s = %q, want %q", key, got, wanted)
		}
	}
}

func TestMergeIntoItselfReadsOneVersion(t *testing.T) {
	l := newLake(t)
	tab := keyed(l, table.Create{})
	rel, _, err := tab.Relation(t.Context(), table.ScanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tab.Merge(t.Context(), l.eng, table.Merge{
		Source: table.Query{SQL: "SELECT id + 1 AS id, name, n + 1 AS n FROM self", Relations: map[string]table.Relation{"self": rel}},
		On:     "t.id = s.id", Clauses: []table.Clause{updateAll(""), insertAll("")},
	}); err != nil {
		t.Fatal(err)
	}
	want(t, l.rows(tab), "1 a 10", "2 a 11", "3 b 21", "11 k 110", "12 k 111", "13 l 121")
}

func TestMergeIntoAnEmptyTable(t *testing.T) {
	l := newLake(t)
	tab := l.create("id bigint, name string", table.Create{})
	res, err := tab.Merge(t.Context(), l.eng, table.Merge{
		Source: values("id, name", "(1, 'a')", "(1, 'b')"), On: "t.id = s.id", Clauses: []table.Clause{updateAll(""), insertAll("")},
	})
	if err != nil || res.RowsInserted != 2 {
		t.Fatalf("%+v %v", res, err)
	}
	res, err = tab.Merge(t.Context(), l.eng, table.Merge{Source: values("id, name"), On: "t.id = s.id", Clauses: []table.Clause{updateAll("")}})
	if err != nil || res.VersionAfter != res.VersionBefore {
		t.Fatalf("an empty source: %+v %v", res, err)
	}
}

func TestMergePartitionedMovesRows(t *testing.T) {
	l := newLake(t)
	tab := parted(l, table.Create{})
	res, err := tab.Merge(t.Context(), l.eng, table.Merge{
		Source: values("id, v, p", "(1, 'a', 'y')", "(5, 'E', NULL)", "(7, 'g', 'x')"), On: "t.id = s.id AND t.p IS NOT DISTINCT FROM coalesce(s.p, t.p)",
		Clauses: []table.Clause{updateAll(""), insertAll("")},
	})
	if err != nil || res.RowsUpdated != 1 || res.RowsInserted != 2 {
		t.Fatalf("%+v %v", res, err)
	}
	res, err = tab.Merge(t.Context(), l.eng, table.Merge{
		Source: values("id, v, p", "(2, 'b', 'new')"), On: "t.id = s.id", Clauses: []table.Clause{updateAll("")},
	})
	if err != nil || res.RowsUpdated != 1 {
		t.Fatalf("%+v %v", res, err)
	}
	res, err = tab.Merge(t.Context(), l.eng, table.Merge{
		Source: values("id, v, p", "(3, 'C', 'y')"), On: "t.id = s.id AND t.p = s.p", Clauses: []table.Clause{updateAll("")},
	})
	if err != nil || res.RowsUpdated != 1 || res.FilesSkippedPartition == 0 {
		t.Fatalf("%+v %v", res, err)
	}
	want(t, l.rows(tab), "1 a x", "1 a y", "2 b new", "3 C y", "4 d y", "5 E ∅", "6 f ∅", "7 g x")
}

func TestMergeSourceRunsOnce(t *testing.T) {
	l := newLake(t)
	tab := l.create("id bigint, x double", table.Create{})
	l.append(tab, table.Query{SQL: "SELECT i AS id, 0.0 AS x FROM range(100) r(i)"})
	m := table.Merge{
		Source: table.Query{SQL: "SELECT i AS id, random() AS x FROM range(50, 150) r(i) WHERE random() < 0.5"}, On: "t.id = s.id",
		Clauses: []table.Clause{
			{When: table.Matched, If: "s.x < 0.5", Do: table.DoDelete}, updateAll(""), insertAll("s.x >= 0.5"),
		},
	}
	res, err := tab.Merge(t.Context(), l.eng, m)
	if err != nil {
		t.Fatal(err)
	}
	rel, _, err := tab.Relation(t.Context(), table.ScanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got := l.query(table.Query{
		SQL: "SELECT count(*) FILTER (WHERE x <> 0 AND x < 0.5), count(*) FILTER (WHERE x >= 0.5 AND id < 100), " +
			"count(*) FILTER (WHERE id >= 100), count(*) FROM t",
		Relations: map[string]table.Relation{"t": rel},
	})
	want(t, got, "0 "+text(int(res.RowsUpdated))+" "+text(int(res.RowsInserted))+" "+text(int(100+res.RowsInserted-res.RowsDeleted)))
}

// Keys of every type that statistics know, few of them and many of them, against files that may be skipped.
func TestMergeKeysOfEveryType(t *testing.T) {
	for column, value := range map[string]string{
		"k bigint":        "i::BIGINT",
		"k smallint":      "i::SMALLINT",
		"k string":        "'key-' || printf('%05d', i)",
		"k date":          "DATE '2001-01-01' + i::INT",
		"k timestamp":     "TIMESTAMPTZ '2001-01-01 00:00:00.123456Z' + to_seconds(i)",
		"k timestamp_ntz": "TIMESTAMP '2001-01-01 00:00:00.123456' + to_microseconds(i)",
		"k decimal(20,3)": "(i / 1000)::DECIMAL(20,3)",
		"k double":        "i / 7",
		"k binary":        "encode('b' || printf('%05d', i))",
		"k boolean":       "i % 2 = 0",
	} {
		t.Run(column, func(t *testing.T) {
			l := newLake(t)
			tab := l.create(column+", n int", table.Create{})
			kinds := 4000
			if column == "k boolean" {
				kinds = 2
			}
			for start := 0; start < kinds; start += 1000 {
				l.append(tab, table.Query{SQL: "SELECT " + value + " AS k, 0 AS n FROM range(" + text(start) + ", " + text(min(kinds, start+1000)) + ") r(i)"})
			}
			for _, count := range []int{1, 1500} {
				count = min(count, kinds)
				res, err := tab.Merge(t.Context(), l.eng, table.Merge{
					Source: table.Query{SQL: "SELECT " + value + " AS k, " + text(count) + " AS n FROM range(" + text(count) + ") r(i)"}, On: "t.k = s.k",
					Clauses: []table.Clause{updateAll(""), insertAll("")},
				})
				if err != nil {
					t.Fatal(err)
				}
				if res.RowsUpdated != int64(count) || res.RowsInserted != 0 {
					t.Fatalf("%d keys: %+v", count, res)
				}
				switch column {
				case "k binary", "k boolean", "k double":
				default:
					if res.FilesSkippedStats == 0 {
						t.Errorf("%d keys: no file was skipped: %+v", count, res)
					}
				}
			}
		})
	}
}

// More keys than are listed, in two heaps far from each other: what lies between them is not read.
func TestMergeSkipsBetweenKeys(t *testing.T) {
	for column, value := range map[string]string{
		"k bigint":        "i::BIGINT",
		"k int":           "-i::INT",
		"k date":          "DATE '2001-01-01' + i::INT",
		"k timestamp":     "TIMESTAMPTZ '2001-01-01 00:00:00.5Z' + to_seconds(i)",
		"k timestamp_ntz": "TIMESTAMP '2001-01-01 00:00:00.123456' + to_seconds(i)",
		"k decimal(20,3)": "(i / 1000)::DECIMAL(20,3)",
	} {
		t.Run(column, func(t *testing.T) {
			l := newLake(t)
			tab := l.create(column+", n int", table.Create{})
			for start := 0; start < 12000; start += 2000 {
				l.append(tab, table.Query{SQL: "SELECT " + value + " AS k, 0 AS n FROM range(" + text(start) + ", " + text(start+2000) + ") r(i)"})
			}
			l.append(tab, table.Query{SQL: "SELECT NULL AS k, 0 AS n"})
			m := table.Merge{
				Source: table.Query{SQL: "SELECT " + value + " AS k, 1 AS n FROM range(12000) r(i) WHERE i < 900 OR i >= 11100 UNION ALL SELECT NULL, 1"}, On: "t.k = s.k",
				Clauses: []table.Clause{updateAll("")},
			}
			res, err := tab.Merge(t.Context(), l.eng, m)
			if err != nil || res.RowsUpdated != 1800 || res.FilesScanned != 2 || res.FilesSkippedStats != 5 {
				t.Fatalf("%+v %v", res, err)
			}
			m.On, m.Clauses[0].Star, m.Clauses[0].Set = "t.k IS NOT DISTINCT FROM s.k", false, []table.Assignment{{Column: "n", Value: "2"}}
			res, err = tab.Merge(t.Context(), l.eng, m)
			if err != nil || res.RowsUpdated != 1801 || res.FilesSkippedStats != 4 {
				t.Fatalf("null-safe: %+v %v", res, err)
			}
			// A row between the heaps is none that the merge looked for.
			stale, err := table.Open(t.Context(), l.store, l.path)
			if err != nil {
				t.Fatal(err)
			}
			l.append(tab, table.Query{SQL: "SELECT " + value + " AS k, 9 AS n FROM range(5000, 5001) r(i)"})
			m.Clauses[0].Set[0].Value, m.On = "3", "t.k = s.k"
			if res, err = stale.Merge(t.Context(), l.eng, m); err != nil || len(res.Rebased) != 1 || res.Replanned != nil {
				t.Fatalf("beside an append: %+v %v", res, err)
			}
		})
	}
}

// Files as the source are read in place, whatever types stand in them; two rows that meet in one are told by their keys.
func TestMergeFromFilesInPlace(t *testing.T) {
	l := newLake(t)
	tab := keyed(l, table.Create{})
	staging, err := table.CreateTable(t.Context(), l.store, "staging", table.Create{Schema: must(txlog.ParseColumns("id bigint, name string, n int"))})
	if err != nil {
		t.Fatal(err)
	}
	l.append(staging, values("id, name, n", "(2, 'B', 21)", "(3, 'c', 30)"))
	l.append(staging, values("id, name, n", "(11, 'K', 1)", "(4, 'd', 40)"))
	if _, err := staging.Delete(t.Context(), l.eng, table.Delete{Where: "id = 4"}); err != nil {
		t.Fatal(err)
	}
	rel, _, err := staging.Relation(t.Context(), table.ScanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	m := table.Merge{
		Source: table.Query{SQL: `select * from "Updates"`, Relations: map[string]table.Relation{"updates": rel}}, On: "t.id = s.id",
		Clauses: []table.Clause{deleteIf("s.n = 1"), updateAll(""), insertAll("")},
	}
	res, err := tab.Merge(t.Context(), l.eng, m)
	if err != nil || res.RowsSource != 3 || res.RowsUpdated != 1 || res.RowsInserted != 1 || res.RowsDeleted != 1 {
		t.Fatalf("%+v %v", res, err)
	}
	want(t, l.rows(tab), "1 a 10", "2 B 21", "3 c 30", "12 l 120")
	// The table itself, row by row.
	if rel, _, err = tab.Relation(t.Context(), table.ScanOptions{}); err != nil {
		t.Fatal(err)
	}
	m.Source.Relations["updates"] = rel
	m.Clauses = []table.Clause{{When: table.Matched, Do: table.DoUpdate, Set: []table.Assignment{{Column: "n", Value: "t.n + s.n"}}}}
	if res, err = tab.Merge(t.Context(), l.eng, m); err != nil || res.RowsUpdated != 4 {
		t.Fatalf("%+v %v", res, err)
	}
	want(t, l.rows(tab), "1 a 20", "2 B 42", "3 c 60", "12 l 240")
	l.append(staging, values("id, name, n", "(3, 'twice', 0)"))
	if rel, _, err = staging.Relation(t.Context(), table.ScanOptions{}); err != nil {
		t.Fatal(err)
	}
	m.Source.Relations["updates"] = rel
	var ambiguous *table.AmbiguousMatchError
	if _, err = tab.Merge(t.Context(), l.eng, m); !errors.As(err, &ambiguous) || len(ambiguous.Keys) != 1 || ambiguous.Keys[0][0] != int64(3) {
		t.Fatalf("%v", err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestMergeNestedColumns(t *testing.T) {
	l := newLake(t)
	tab := l.create("id bigint, tags array<string>, attrs map<string,int>, pos struct<x:int,y:struct<z:string>>", table.Create{})
	columns := "id, tags, attrs, pos"
	l.append(tab, values(columns, "(1, ['a'], MAP {'k': 1}, {'x': 1, 'y': {'z': 'q'}})", "(2, NULL, NULL, NULL)", "(3, ['c'], MAP {'k': 3}, {'x': 3, 'y': NULL})"))
	m := table.Merge{
		Source: values(columns, "(1, ['a'], MAP {'k': 1}, {'x': 1, 'y': {'z': 'q'}})", "(2, NULL, NULL, {'x': 2, 'y': {'z': NULL}})", "(4, [], MAP {}, NULL)"),
		On:     "t.id = s.id", Clauses: []table.Clause{updateAll(""), insertAll("")},
	}
	res, err := tab.Merge(t.Context(), l.eng, m)
	if err != nil || res.RowsUnchanged != 1 || res.RowsUpdated != 1 || res.RowsInserted != 1 {
		t.Fatalf("%+v %v", res, err)
	}
	want(t, l.rows(tab, "id", "len(tags)", "pos.x", "pos.y.z"), "1 1 1 q", "2 ∅ 2 ∅", "3 1 3 ∅", "4 0 ∅ ∅")
}

func TestMergeOddNames(t *testing.T) {
	l := newLake(t)
	tab := l.create("`select` bigint, `a\"b` string, `_lake_row_` int, `t` string", table.Create{})
	m := table.Merge{
		Source: values("\"select\", \"a\"\"b\", _lake_row_, t", "(1, 'it''s', 2, 't')"), On: `t."select" = s."select"`,
		Clauses: []table.Clause{updateAll(""), insertAll("")},
	}
	for range 2 {
		if _, err := tab.Merge(t.Context(), l.eng, m); err != nil {
			t.Fatal(err)
		}
	}
	want(t, l.rows(tab), "1 it's 2 t")
}

func TestMergeNotMatchedBySource(t *testing.T) {
	l := newLake(t)
	tab := keyed(l, table.Create{})
	m := table.Merge{
		Source: values("id, name, n", "(2, 'B', 21)", "(3, 'c', 30)"), On: "t.id = s.id",
		Clauses: []table.Clause{
			updateAll(""), insertAll(""),
			{When: table.NotMatchedBySource, If: "t.id > 11", Do: table.DoDelete},
			{When: table.NotMatchedBySource, If: "t.id >= 10", Do: table.DoUpdate, Set: []table.Assignment{{Column: "n", Value: "-t.n"}}},
		},
	}
	res, err := tab.Merge(t.Context(), l.eng, m)
	if err != nil || res.RowsUpdated != 2 || res.RowsInserted != 1 || res.RowsDeleted != 1 {
		t.Fatalf("%+v %v", res, err)
	}
	want(t, l.rows(tab), "1 a 10", "2 B 21", "3 c 30", "11 k -110")
	commit, err := tab.Log().ReadCommit(t.Context(), res.VersionAfter)
	if err != nil {
		t.Fatal(err)
	}
	for key, wanted := range map[string]string{
		"numTargetRowsMatchedUpdated": "1", "numTargetRowsNotMatchedBySourceUpdated": "1",
		"numTargetRowsMatchedDeleted": "0", "numTargetRowsNotMatchedBySourceDeleted": "1",
	} {
		if got := commit.Info.OperationMetrics[key]; got != wanted {
			t.Errorf("%s = %q, want %q", key, got, wanted)
		}
	}
	// An empty source leaves every row without one.
	res, err = tab.Merge(t.Context(), l.eng, table.Merge{
		Source: values("id, name, n"), On: "t.id = s.id", Clauses: []table.Clause{{When: table.NotMatchedBySource, Do: table.DoDelete}},
	})
	if err != nil || res.RowsDeleted != 4 {
		t.Fatalf("%+v %v", res, err)
	}
	want(t, l.rows(tab))
}
