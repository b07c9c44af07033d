package txlog

import (
	"errors"
	"strings"
	"testing"
)

// delta-rs lists variantType in every table with deletion vectors, whether it has such a column or not.
func TestTableOfDeltaRsThatListsVariantTypeOpens(t *testing.T) {
	for _, tc := range []struct {
		name, columns string
		write         error
	}{
		{"no such column", "id bigint", nil},
		{"such a column", "id bigint, v variant", ErrUnsupportedFeature},
	} {
		schema, err := ParseColumns(tc.columns)
		if err != nil {
			t.Fatal(err)
		}
		s := &Snapshot{
			protocol: &Protocol{MinReaderVersion: 3, MinWriterVersion: 7, ReaderFeatures: []string{"variantType", "deletionVectors"}, WriterFeatures: []string{"invariants", "appendOnly", "variantType", "deletionVectors"}},
			metadata: &Metadata{ID: "x", Provider: "parquet", SchemaString: schema.JSON()}, schema: schema,
		}
		if err := s.CheckReadable(); err != nil {
			t.Errorf("%s: read: %v", tc.name, err)
		}
		if err := s.CheckWritable(); !errors.Is(err, tc.write) || tc.write != nil && !strings.Contains(err.Error(), "column of type variant") {
			t.Errorf("%s: write: %v, want %v", tc.name, err, tc.write)
		}
	}
}
