package table_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/table/schemaedit"
	"github.com/lakectl/lakectl/txlog"
)

func (l *lake) alter(tab *table.Table, a table.Alter) *table.AlterResult {
	l.t.Helper()
	res, err := tab.Alter(l.t.Context(), l.eng, a)
	if err != nil {
		l.t.Fatal(err)
	}
	return res
}

func typeOf(t *testing.T, sql string) *txlog.DataType {
	t.Helper()
	typ, err := txlog.ParseType(sql)
	if err != nil {
		t.Fatal(err)
	}
	return typ
}

func pointer[T any](v T) *T { return &v }

// commitActions lists the kinds of actions of the newest version, commitInfo left out, and its operation.
func (l *lake) commitActions(tab *table.Table) (kinds []string, info *txlog.CommitInfo) {
	l.t.Helper()
	v := tab.Snapshot().Version()
	for c, err := range tab.Log().History(l.t.Context(), txlog.HistoryOptions{From: &v}) {
		if err != nil {
			l.t.Fatal(err)
		}
		info = c.Info
		for _, a := range c.Actions {
			switch a.(type) {
			case *txlog.Metadata:
				kinds = append(kinds, "metaData")
			case *txlog.Protocol:
				kinds = append(kinds, "protocol")
			case *txlog.CommitInfo:
			default:
				kinds = append(kinds, "other")
			}
		}
	}
	return kinds, info
}

// TestAlterMapsAndRenames: an existing table gets column mapping without a touch to its files, and then columns may be
// renamed and dropped, nested ones and partition columns as well.
func TestAlterMapsAndRenames(t *testing.T) {
	for name, properties := range map[string]map[string]string{"vectors": nil, "legacy": {"delta.enableDeletionVectors": "false"}} {
		t.Run(name, func(t *testing.T) {
			l := newLake(t)
			tab := l.create("id bigint not null, name string, part string, s struct<x:int,y:int>, l array<struct<u:int>>",
				table.Create{PartitionBy: []string{"part"}, Properties: properties})
			row := func(id, part string) string {
				return "(" + id + ", 'n" + id + "', '" + part + "', {'x': " + id + ", 'y': 0}, [{'u': " + id + "}])"
			}
			l.append(tab, values("id, name, part, s, l", row("1", "p"), row("2", "q")))
			files := l.objects()
			res := l.alter(tab, table.Alter{
				SetProperties: map[string]string{"DELTA.columnmapping.MODE": "Name"},
				RenameColumns: []table.RenameColumn{{"NAME", "full name"}, {"part", "region"}, {"s.x", "z"}, {"l.element.u", "w"}},
				DropColumns:   []string{"s.y"},
			})
			if res.VersionBefore != 1 || res.VersionAfter != 2 || !slices.Contains(res.FeaturesAdded, "columnMapping") || len(res.PeersLost) != 0 || len(res.Changes) != 6 {
				t.Fatalf("%+v", res)
			}
			if kinds, info := l.commitActions(tab); !slices.Equal(kinds, []string{"protocol", "metaData"}) || info.Operation != "ALTER TABLE" {
				t.Fatalf("%v, %+v", kinds, info)
			}
			if p := tab.Snapshot().Protocol(); name == "legacy" && (p.MinReaderVersion != 2 || p.MinWriterVersion != 5) ||
				name == "vectors" && !slices.Contains(p.ReaderFeatures, "columnMapping") {
				t.Fatalf("%+v", *p)
			}
			if got := l.objects(); !slices.Equal(got, files) {
				t.Fatalf("files changed: %v", got)
			}
			want(t, l.rows(tab, "id", `"full name"`, "region", "s.z", "l[1].w"), "1 n1 p 1 1", "2 n2 q 2 2")
			if got := tab.Snapshot().PartitionColumns(); !slices.Equal(got, []string{"region"}) {
				t.Fatalf("partition columns %v", got)
			}
			l.append(tab, table.Query{SQL: `SELECT 3 AS id, 'n3' AS "full name", 'p' AS region, {'z': 3} AS s, [{'w': 3}] AS l`})
			if _, err := tab.Delete(t.Context(), l.eng, table.Delete{Where: `"full name" = 'n1'`}); err != nil {
				t.Fatal(err)
			}
			want(t, l.rows(tab, "id", `"full name"`, "region", "s.z", "l[1].w"), "2 n2 q 2 2", "3 n3 p 3 3")
			// The old name is free again, for a new column with values of its own.
			res = l.alter(tab, table.Alter{AddColumns: []table.AddColumn{
				{Column: "name", Type: typeOf(t, "string"), Place: schemaedit.Place{After: "id"}, Comment: "it's new"},
				{Column: "s.y", Type: typeOf(t, "string")},
			}})
			if _, info := l.commitActions(tab); info.Operation != "ADD COLUMNS" || len(res.FeaturesAdded) != 0 {
				t.Fatalf("%+v, %+v", info, res)
			}
			want(t, l.rows(tab), "2 ∅ n2 q [2 <nil>] [[2]]", "3 ∅ n3 p [3 <nil>] [[3]]")
			old, err := tab.At(t.Context(), 1)
			if err != nil {
				t.Fatal(err)
			}
			want(t, l.rows(old), "1 n1 p [1 0] [[1]]", "2 n2 q [2 0] [[2]]")
			if _, err := tab.Optimize(t.Context(), l.eng, table.Optimize{}); err != nil {
				t.Fatal(err)
			}
			want(t, l.rows(tab), "2 ∅ n2 q [2 <nil>] [[2]]", "3 ∅ n3 p [3 <nil>] [[3]]")
		})
	}
}

// TestRestoreToBeforeColumnMapping: the rows and names of the old version come back, column mapping stays.
func TestRestoreToBeforeColumnMapping(t *testing.T) {
	l := newLake(t)
	tab := l.create("id bigint, name string, s struct<x:int,y:int>, part string", table.Create{PartitionBy: []string{"part"}})
	l.append(tab, values("id, name, s, part", "(1, 'a', {'x': 1, 'y': 2}, 'p')"))
	l.alter(tab, table.Alter{SetProperties: map[string]string{"delta.columnMapping.mode": "name"}})
	l.alter(tab, table.Alter{
		RenameColumns: []table.RenameColumn{{Column: "name", To: "other"}, {Column: "part", To: "region"}}, DropColumns: []string{"s.y"},
		AddColumns: []table.AddColumn{{Column: "name", Type: typeOf(t, "int")}},
	})
	l.append(tab, table.Query{SQL: "SELECT 2 AS id, 'b' AS other, {'x': 3} AS s, 'q' AS region, 7 AS name"})
	if _, err := tab.Restore(t.Context(), table.Restore{Version: version(1)}); err != nil {
		t.Fatal(err)
	}
	want(t, l.rows(tab), "1 a [1 2] p")
	schema, err := tab.Schema()
	if err != nil {
		t.Fatal(err)
	}
	if id, _ := schema.Fields[1].FieldID(); id != 2 || tab.Snapshot().Mapping() != txlog.MappingName {
		t.Fatalf("%s, %s", schema.JSON(), tab.Snapshot().Mapping())
	}
	if got, _ := tab.Snapshot().Property(txlog.MaxColumnIDKey); got != "8" { // one for name, one for the y that came back
		t.Errorf("highest id %s", got)
	}
	l.append(tab, values("id, name, s, part", "(3, 'c', {'x': 5, 'y': 6}, 'p')"))
	want(t, l.rows(tab), "1 a [1 2] p", "3 c [5 6] p")
	// And forth again, to the names in between.
	if _, err := tab.Restore(t.Context(), table.Restore{Version: version(4)}); err != nil {
		t.Fatal(err)
	}
	want(t, l.rows(tab), "1 a [1] p ∅", "2 b [3] q 7")
}

// TestDroppedColumnNeverComesBack: its id and its physical name are not given out again, so that what files still hold
// of it stays hidden.
func TestDroppedColumnNeverComesBack(t *testing.T) {
	l := newLake(t)
	tab := l.create("id bigint, secret string", table.Create{Properties: map[string]string{"delta.columnMapping.mode": "id"}})
	l.append(tab, values("id, secret", "(1, 'hidden')"))
	l.alter(tab, table.Alter{DropColumns: []string{"secret"}})
	l.alter(tab, table.Alter{AddColumns: []table.AddColumn{{Column: "secret", Type: typeOf(t, "string")}}})
	want(t, l.rows(tab), "1 ∅")
	schema, err := tab.Schema()
	if err != nil {
		t.Fatal(err)
	}
	if id, _ := schema.Fields[1].FieldID(); id != 3 {
		t.Errorf("the new column has id %d", id)
	}
}

func TestAlterProperties(t *testing.T) {
	l := newLake(t)
	tab := l.create("id bigint", table.Create{Properties: map[string]string{"delta.enableDeletionVectors": "false", "owner": "me"}})
	l.append(tab, values("id", "(1)"))
	for _, step := range []struct {
		a         table.Alter
		operation string
		r, w      int
		features  string
		lost      int
	}{
		{table.Alter{SetProperties: map[string]string{"delta.appendonly": "TRUE", "team": "x"}}, "SET TBLPROPERTIES", 1, 2, "", 0},
		{table.Alter{UnsetProperties: []string{"DELTA.appendOnly", "owner"}}, "UNSET TBLPROPERTIES", 1, 2, "", 0},
		{table.Alter{SetProperties: map[string]string{"delta.minReaderVersion": "2", "delta.minWriterVersion": "5"}}, "UPGRADE PROTOCOL", 2, 5, "changeDataFeed checkConstraints columnMapping generatedColumns", 0},
		{table.Alter{SetProperties: map[string]string{"delta.enableInCommitTimestamps": "true"}}, "SET TBLPROPERTIES", 2, 7, "inCommitTimestamp", 2},
		{table.Alter{SetProperties: map[string]string{"delta.enableDeletionVectors": "true"}}, "SET TBLPROPERTIES", 3, 7, "deletionVectors", 0},
		{table.Alter{AddFeatures: []string{"vacuumProtocolCheck"}}, "UPGRADE PROTOCOL", 3, 7, "vacuumProtocolCheck", 1},
		{table.Alter{SetProperties: map[string]string{"delta.feature.domainMetadata": "supported"}}, "UPGRADE PROTOCOL", 3, 7, "domainMetadata", 0},
		{table.Alter{Comment: pointer("orders of a day")}, "SET TBLPROPERTIES", 3, 7, "", 0},
	} {
		res := l.alter(tab, step.a)
		if res.Operation != step.operation || res.MinReaderVersion != step.r || res.MinWriterVersion != step.w ||
			strings.Join(res.FeaturesAdded, " ") != step.features || len(res.PeersLost) != step.lost {
			t.Errorf("%+v gives %+v", step.a, res)
		}
		before := tab.Snapshot().Version()
		if step.operation == "UNSET TBLPROPERTIES" {
			continue
		}
		if again := l.alter(tab, step.a); again.VersionAfter != before || len(again.Changes) != 0 {
			t.Errorf("%+v a second time gives %+v", step.a, again)
		}
	}
	c := tab.Snapshot().Metadata().Configuration
	if c["team"] != "x" || c["owner"] != "" || c["delta.feature.domainMetadata"] != "" || c["delta.minReaderVersion"] != "" ||
		c["delta.inCommitTimestampEnablementVersion"] != "5" || c["delta.inCommitTimestampEnablementTimestamp"] == "" {
		t.Errorf("properties %v", c)
	}
	if got := tab.Snapshot().Metadata().Description; got != "orders of a day" {
		t.Errorf("comment %q", got)
	}
	if _, err := tab.Delete(t.Context(), l.eng, table.Delete{Where: "id = 1"}); err != nil {
		t.Fatal(err)
	}
}

// TestAlterTurnsOnInCommitTimestamps: the commit that does it is named, also after a lost race, and versions before and
// after it are found by their time.
func TestAlterTurnsOnInCommitTimestamps(t *testing.T) {
	u := newUpkeep(t, "id bigint", table.Create{})
	later := func() { u.clock.Advance(time.Minute) }
	later()
	u.append("SELECT 1 AS id")
	later()
	change, err := u.tab.PrepareAlter(t.Context(), nil, table.Alter{SetProperties: map[string]string{"delta.enableInCommitTimestamps": "true"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.other().Append(t.Context(), u.eng, table.Append{Source: table.Query{SQL: "SELECT 2 AS id"}}); err != nil {
		t.Fatal(err)
	}
	later()
	if res, err := change.Commit(t.Context()); err != nil || res.VersionAfter != 3 {
		t.Fatalf("%+v, %v", res, err)
	}
	later()
	u.append("SELECT 3 AS id")
	s := u.tab.Snapshot()
	if v, _ := s.Property("delta.inCommitTimestampEnablementVersion"); v != "3" {
		t.Errorf("enabled in version %s", v)
	}
	if at, _ := s.Property("delta.inCommitTimestampEnablementTimestamp"); at != fmt.Sprint(*u.commitOf(3).Info.InCommitTimestamp) {
		t.Errorf("enabled at %s", at)
	}
	for v := txlog.Version(0); v <= s.Version(); v++ {
		at, err := u.tab.At(t.Context(), v)
		if err != nil {
			t.Fatal(err)
		}
		by, err := u.tab.AtTime(t.Context(), at.Snapshot().Timestamp())
		if err != nil || by.Snapshot().Version() != v {
			t.Errorf("version %d by its time %s: %v", v, at.Snapshot().Timestamp(), err)
		}
	}
}

func TestAlterNotNull(t *testing.T) {
	l := newLake(t)
	tab := l.create("id bigint, name string, part string, s struct<x:int>", table.Create{PartitionBy: []string{"part"}})
	l.append(tab, values("id, name, part, s", "(1, 'a', 'p', {'x': 1})", "(2, NULL, 'q', NULL)"))
	notNull := func(column string) table.Alter {
		return table.Alter{ChangeColumns: []table.ChangeColumn{{Column: column, Nullable: pointer(false)}}}
	}
	var broken *table.ConstraintError
	if _, err := tab.Alter(t.Context(), l.eng, notNull("name")); !errors.As(err, &broken) || broken.Column != "name" {
		t.Fatalf("a column with NULLs became not null: %v", err)
	}
	if _, err := tab.Alter(t.Context(), nil, notNull("name")); !errors.Is(err, table.ErrInvalidRequest) {
		t.Fatalf("rows were not looked at: %v", err)
	}
	if tab.Snapshot().Version() != 1 {
		t.Fatal("a refused alter committed")
	}
	// Statistics and partition values prove it: no file is read, and no engine is needed.
	for _, column := range []string{"id", "part"} {
		res, err := tab.Alter(t.Context(), nil, notNull(column))
		if err != nil || res.FilesChecked != 0 || res.Operation != "CHANGE COLUMN" {
			t.Fatalf("%s: %+v, %v", column, res, err)
		}
	}
	if res := l.alter(tab, notNull("S.X")); res.FilesChecked != 2 { // a struct that is NULL has no field
		t.Fatalf("%+v", res)
	}
	if _, err := tab.Append(t.Context(), l.eng, table.Append{Source: values("id, part, s", "(3, 'p', {'x': NULL})")}); !errors.Is(err, table.ErrConstraint) {
		t.Fatalf("a NULL in s.x: %v", err)
	}
	l.alter(tab, table.Alter{ChangeColumns: []table.ChangeColumn{{Column: "s.x", Nullable: pointer(true), Comment: pointer("any")}, {Column: "part", Place: &schemaedit.Place{First: true}}}})
	l.append(tab, values("id, part, s", "(3, 'p', {'x': NULL})"))
	want(t, l.rows(tab), "p 1 a [1]", "q 2 ∅ ∅", "p 3 ∅ [<nil>]")
}

// TestAlterChecksColumnsUnderTheirNewNames: a rename in the same request must not make it look at another column.
func TestAlterChecksColumnsUnderTheirNewNames(t *testing.T) {
	l := newLake(t)
	tab := l.create("a bigint, b bigint, p string", table.Create{
		PartitionBy: []string{"p"}, Properties: map[string]string{"delta.columnMapping.mode": "name"},
	})
	l.append(tab, values("a, b, p", "(1, NULL::BIGINT, 'x')"))
	swap := []table.RenameColumn{{Column: "a", To: "c"}, {Column: "b", To: "a"}, {Column: "c", To: "b"}, {Column: "p", To: "q"}}
	required := func(columns ...string) (out []table.ChangeColumn) {
		for _, c := range columns {
			out = append(out, table.ChangeColumn{Column: c, Nullable: pointer(false)})
		}
		return out
	}
	if _, err := tab.Alter(t.Context(), l.eng, table.Alter{RenameColumns: swap, ChangeColumns: required("a")}); !errors.Is(err, table.ErrConstraint) {
		t.Fatalf("%v", err)
	}
	l.alter(tab, table.Alter{RenameColumns: swap, ChangeColumns: required("b", "q")})
	want(t, l.rows(tab, "a", "b", "q"), "∅ 1 x")
}

// TestAlterSeesRowsThatComeMeanwhile: a row that was committed after the check is checked by a second plan.
func TestAlterSeesRowsThatComeMeanwhile(t *testing.T) {
	l := newLake(t)
	tab := l.create("id bigint", table.Create{})
	l.append(tab, values("id", "(1)"))
	change, err := tab.PrepareAlter(t.Context(), l.eng, table.Alter{ChangeColumns: []table.ChangeColumn{{Column: "id", Nullable: pointer(false)}}})
	if err != nil {
		t.Fatal(err)
	}
	other, err := table.Open(t.Context(), l.store, l.path)
	if err != nil {
		t.Fatal(err)
	}
	l.append(other, values("id", "(NULL::BIGINT)"))
	if _, err := change.Commit(t.Context()); !errors.Is(err, txlog.ErrConflict) {
		t.Fatalf("committed over a row that was not checked: %v", err)
	}
	// A change that looked at no rows lands behind it.
	change, err = tab.PrepareAlter(t.Context(), nil, table.Alter{Comment: pointer("late")})
	if err != nil {
		t.Fatal(err)
	}
	if res, err := change.Commit(t.Context()); err != nil || res.VersionAfter != 3 {
		t.Fatalf("%+v, %v", res, err)
	}
}

func TestAlterFollowsStatisticsColumns(t *testing.T) {
	l := newLake(t)
	tab := l.create("id bigint, `a,b` string, s struct<x:int,y:int>, z int", table.Create{Properties: map[string]string{
		"delta.columnMapping.mode": "name", "delta.dataSkippingStatsColumns": "id, `a,b`, S.x, z",
	}})
	l.alter(tab, table.Alter{RenameColumns: []table.RenameColumn{{"a,b", "c"}, {"s", "t t"}}, DropColumns: []string{"z"}})
	if got, _ := tab.Snapshot().Property("delta.dataSkippingStatsColumns"); got != "id,c,`t t`.x" {
		t.Errorf("got %s", got)
	}
	l.append(tab, table.Query{SQL: `SELECT 1 AS id, 'c' AS c, {'x': 1, 'y': 2} AS "t t"`})
	// id, c and t t.x in each of minValues, maxValues and nullCount, the last one inside its struct.
	if stats := tab.Snapshot().Files().Add(0).Stats; strings.Count(stats, `"col-`) != 3*4 {
		t.Errorf("statistics %s", stats)
	}
}

// TestAlterRefuses: nothing is written, and the error says what is wrong.
func TestAlterRefuses(t *testing.T) {
	l := newLake(t)
	plain := l.create("id bigint, name string, part string, n int", table.Create{PartitionBy: []string{"part"}})
	l.path = "silver/mapped"
	mapped := l.create("id bigint, name string, part string, s struct<x:int>, l array<int>", table.Create{
		PartitionBy: []string{"part"}, Properties: map[string]string{"delta.columnMapping.mode": "name"},
	})
	set := func(key, value string) table.Alter { return table.Alter{SetProperties: map[string]string{key: value}} }
	change := func(c table.ChangeColumn) table.Alter { return table.Alter{ChangeColumns: []table.ChangeColumn{c}} }
	rename := func(from, to string) table.Alter {
		return table.Alter{RenameColumns: []table.RenameColumn{{Column: from, To: to}}}
	}
	for name, tc := range map[string]struct {
		tab  *table.Table
		a    table.Alter
		want error
		text string
	}{
		"rename without mapping":   {plain, rename("name", "x"), table.ErrInvalidRequest, "delta.columnMapping.mode = name"},
		"drop without mapping":     {plain, table.Alter{DropColumns: []string{"name"}}, table.ErrInvalidRequest, "column mapping"},
		"rename what is not":       {mapped, rename("nope", "x"), table.ErrInvalidRequest, "no column nope"},
		"rename to a neighbour":    {mapped, rename("id", "NAME"), table.ErrInvalidRequest, "differ at most in case"},
		"rename to nothing":        {mapped, rename("id", ""), table.ErrInvalidRequest, "needs a name"},
		"drop the partition":       {mapped, table.Alter{DropColumns: []string{"part"}}, table.ErrInvalidRequest, "partitioned"},
		"drop all but partitions":  {mapped, table.Alter{DropColumns: []string{"id", "name", "s", "l"}}, table.ErrInvalidRequest, "only partition columns"},
		"drop the last field":      {mapped, table.Alter{DropColumns: []string{"s.x"}}, table.ErrInvalidRequest, "only column"},
		"add what is there":        {plain, table.Alter{AddColumns: []table.AddColumn{{Column: "ID", Type: typeOf(t, "int")}}}, table.ErrInvalidRequest, "differ at most in case"},
		"add without a type":       {plain, table.Alter{AddColumns: []table.AddColumn{{Column: "x"}}}, table.ErrInvalidRequest, "type is missing"},
		"add an odd name":          {plain, table.Alter{AddColumns: []table.AddColumn{{Column: "`a b`", Type: typeOf(t, "int")}}}, table.ErrInvalidRequest, "column mapping"},
		"add into no struct":       {plain, table.Alter{AddColumns: []table.AddColumn{{Column: "id.x", Type: typeOf(t, "int")}}}, table.ErrInvalidRequest, "no struct"},
		"add behind nothing":       {plain, table.Alter{AddColumns: []table.AddColumn{{Column: "x", Type: typeOf(t, "int"), Place: schemaedit.Place{After: "y"}}}}, table.ErrInvalidRequest, "no column y"},
		"a type we do not know":    {plain, table.Alter{AddColumns: []table.AddColumn{{Column: "x", Type: &txlog.DataType{Kind: txlog.KindUnknown, Name: "geo"}}}}, txlog.ErrUnsupportedType, "geo"},
		"narrow a column":          {plain, change(table.ChangeColumn{Column: "id", Type: typeOf(t, "int")}), table.ErrUnsupported, "bigint cannot become int"},
		"not null in an array":     {mapped, change(table.ChangeColumn{Column: "l.element", Nullable: pointer(false)}), table.ErrInvalidRequest, "no column of its own"},
		"a path with two dots":     {mapped, change(table.ChangeColumn{Column: "s..x"}), table.ErrInvalidRequest, "missing"},
		"unknown property":         {plain, set("delta.typo", "1"), table.ErrProperty, "delta.typo"},
		"bad value":                {plain, set("delta.appendOnly", "yes"), table.ErrProperty, "yes"},
		"mapping by id":            {plain, set("delta.columnMapping.mode", "id"), table.ErrProperty, "none to name"},
		"mapping off":              {mapped, set("delta.columnMapping.mode", "none"), table.ErrProperty, "is name"},
		"mapping unset":            {mapped, table.Alter{UnsetProperties: []string{"delta.columnMapping.mode"}}, table.ErrProperty, "cannot be taken away"},
		"ids unset":                {mapped, table.Alter{UnsetProperties: []string{"delta.columnMapping.maxColumnId"}}, table.ErrProperty, "cannot be taken away"},
		"unset what is not":        {plain, table.Alter{UnsetProperties: []string{"owner"}}, table.ErrProperty, "owner"},
		"log shorter than files":   {plain, set("delta.logRetentionDuration", "interval 1 day"), table.ErrProperty, "shorter"},
		"files longer than log":    {plain, table.Alter{SetProperties: map[string]string{"delta.deletedFileRetentionDuration": "100 days", "delta.logRetentionDuration": "99 days"}}, table.ErrProperty, "shorter"},
		"unknown feature":          {plain, table.Alter{AddFeatures: []string{"warpDrive"}}, txlog.ErrUnsupportedFeature, "warpDrive"},
		"a feature of catalogs":    {plain, set("delta.feature.catalogManaged", "supported"), txlog.ErrUnsupportedFeature, "catalog's own client"},
		"a feature set to true":    {plain, set("delta.feature.clustering", "true"), table.ErrProperty, "supported"},
		"a version that is none":   {plain, set("delta.minReaderVersion", "4"), table.ErrProperty, "from 1 to 3"},
		"constraint without rule":  {plain, table.Alter{AddConstraints: []table.AddConstraint{{Name: "c"}}}, table.ErrInvalidRequest, "expression"},
		"a rule beyond us":         {plain, table.Alter{AddConstraints: []table.AddConstraint{{Name: "c", Expression: "id > rand()"}}}, txlog.ErrUnsupportedFeature, "id > rand()"},
		"no such constraint":       {plain, table.Alter{DropConstraints: []string{"c"}}, table.ErrInvalidRequest, "no constraint"},
		"cluster by a partition":   {plain, table.Alter{ClusterBy: &[]string{"id"}}, table.ErrInvalidRequest, "partitioned"},
		"a pipeline's progress":    {plain, set("delta.setTransactionRetentionDuration", "1 day"), table.ErrProperty, "progress"},
		"constraint as a property": {plain, set("delta.constraints.c", "id > 0"), table.ErrProperty, "delta.constraints.c"},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "a pipeline's progress" {
				if _, err := plain.Append(t.Context(), l.eng, table.Append{
					Source: values("id", "(1)"), Meta: table.ChangeMeta{Txns: []txlog.Txn{{AppID: "lake/p/m/t", Version: 1}}},
				}); err != nil {
					t.Fatal(err)
				}
			}
			before := tc.tab.Snapshot().Version()
			_, err := tc.tab.Alter(t.Context(), l.eng, tc.a)
			if !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.text) {
				t.Fatalf("error %v, want %v with %q", err, tc.want, tc.text)
			}
			if err := tc.tab.Refresh(t.Context()); err != nil || tc.tab.Snapshot().Version() != before {
				t.Fatalf("version %d after %d, %v", tc.tab.Snapshot().Version(), before, err)
			}
		})
	}
	pinned, err := plain.At(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pinned.Alter(t.Context(), nil, table.Alter{Comment: pointer("x")}); !errors.Is(err, table.ErrReadOnly) {
		t.Errorf("a pinned table: %v", err)
	}
}

// TestAlterTakesAwayWhatStopsWriters: a table that we may not write because of a property can be made writable.
func TestAlterTakesAwayWhatStopsWriters(t *testing.T) {
	l := newLake(t)
	tab := l.create("id bigint", table.Create{})
	m := *tab.Snapshot().Metadata()
	m.Configuration = map[string]string{"delta.enableDeletionVectors": "true", "delta.universalFormat.enabledFormats": "iceberg"}
	body, err := txlog.EncodeAction(&m)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.store.Put(t.Context(), l.path+"/_delta_log/00000000000000000001.json", objectstore.Bytes(append(body, '\n')), objectstore.CreateOnly); err != nil {
		t.Fatal(err)
	}
	if err := tab.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := tab.Append(t.Context(), l.eng, table.Append{Source: values("id", "(1)")}); !errors.Is(err, txlog.ErrUnsupportedFeature) {
		t.Fatalf("written: %v", err)
	}
	if _, err := tab.Alter(t.Context(), nil, table.Alter{Comment: pointer("x")}); !errors.Is(err, txlog.ErrUnsupportedFeature) {
		t.Fatalf("altered with the property still there: %v", err)
	}
	l.alter(tab, table.Alter{UnsetProperties: []string{"delta.universalFormat.enabledFormats"}})
	l.append(tab, values("id", "(1)"))
}

func TestAlterDryRunAndRepeat(t *testing.T) {
	l := newLake(t)
	tab := l.create("id bigint", table.Create{})
	add := table.Alter{
		AddColumns: []table.AddColumn{{Column: "seen", Type: typeOf(t, "timestamp_ntz")}}, DryRun: true,
		Meta: table.ChangeMeta{Txns: []txlog.Txn{{AppID: "me", Version: 1}}},
	}
	res := l.alter(tab, add)
	if !res.DryRun || res.VersionAfter != 0 || !slices.Equal(res.FeaturesAdded, []string{"timestampNtz"}) {
		t.Fatalf("%+v", res)
	}
	add.DryRun = false
	if res := l.alter(tab, add); res.VersionAfter != 1 || res.AlreadyDone {
		t.Fatalf("%+v", res)
	}
	if res := l.alter(tab, add); res.VersionAfter != 1 || !res.AlreadyDone {
		t.Fatalf("%+v", res)
	}
	l.append(tab, values("id, seen", "(1, TIMESTAMP '2026-01-01 00:00:00')"))
}
