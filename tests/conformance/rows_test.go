package conformance

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/lakectl/lakectl/objectstore/file"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// expectedRelation reads the files of an expected/ folder with the columns of the table.
func expectedRelation(t *testing.T, files []string, schema *txlog.Schema) table.Relation {
	t.Helper()
	rel := table.Relation{Schema: schema}
	for _, f := range files {
		store, err := file.Open(filepath.Dir(f))
		if err != nil {
			t.Fatal(err)
		}
		info, err := store.Head(t.Context(), filepath.Base(f))
		if err != nil {
			t.Fatal(err)
		}
		rel.Files = append(rel.Files, table.RelationFile{Store: store, Key: info.Key, Size: info.Size, ETag: info.ETag})
	}
	return rel
}

// expectedColumns are the names of the columns that the expected files really have: the relation above would read a
// missing one as NULL.
func expectedColumns(t *testing.T, eng table.Engine, rel table.Relation) []string {
	t.Helper()
	if len(rel.Files) == 0 {
		return nil
	}
	rel = table.Relation{External: &table.External{Format: "parquet"}, Files: rel.Files}
	rows, err := eng.Query(t.Context(), table.Query{SQL: "SELECT * FROM t", Relations: map[string]table.Relation{"t": rel}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }() // only the columns are asked for
	var names []string
	for _, c := range rows.Columns {
		names = append(names, c.Name)
	}
	slices.Sort(names)
	return names
}
