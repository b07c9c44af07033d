package txlog

import (
	"errors"
	"strings"
	"testing"
)

// Tables with variants are read and written; what they are called in previews is read, and written where the preview
// asks the same of a writer.
func TestFeaturesOfVariants(t *testing.T) {
	for _, tc := range []struct {
		name, columns, features string
		write                   error
	}{
		{"no such column", "id bigint", "variantType", nil}, // delta-rs lists it in every table with deletion vectors
		{"such a column", "id bigint, v variant", "variantType", nil},
		{"shredded", "id bigint, v variant", "variantType variantShredding", nil},
		{"shredded by Spark", "id bigint, v variant", "variantType variantShredding-preview", nil},
		{"of a preview", "id bigint, v variant", "variantType-preview", ErrUnsupportedFeature},
	} {
		schema, err := ParseColumns(tc.columns)
		if err != nil {
			t.Fatal(err)
		}
		names := strings.Fields(tc.features)
		s := &Snapshot{
			protocol: &Protocol{MinReaderVersion: 3, MinWriterVersion: 7, ReaderFeatures: names, WriterFeatures: names},
			metadata: &Metadata{ID: "x", Provider: "parquet", SchemaString: schema.JSON()}, schema: schema,
		}
		if err := s.CheckReadable(); err != nil {
			t.Errorf("%s: read: %v", tc.name, err)
		}
		if err := s.CheckWritable(); !errors.Is(err, tc.write) || tc.write != nil && !strings.Contains(err.Error(), names[0]) {
			t.Errorf("%s: write: %v, want %v", tc.name, err, tc.write)
		}
	}
}
