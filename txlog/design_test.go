package txlog

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

// TestUpgradeKeepsAndAdds: features are added when first needed, old version numbers grow while they can say it.
func TestUpgradeKeepsAndAdds(t *testing.T) {
	schema, err := ParseColumns("id bigint, t timestamp_ntz")
	if err != nil {
		t.Fatal(err)
	}
	plain := &Schema{Fields: schema.Fields[:1]}
	old := func(r, w int) *Protocol { return &Protocol{MinReaderVersion: r, MinWriterVersion: w} }
	for name, tc := range map[string]struct {
		from   *Protocol
		schema *Schema
		set    map[string]string
		asked  []string
		want   Protocol
	}{
		"nothing needed":        {from: old(1, 1), schema: plain, want: *old(1, 1)},
		"append only":           {from: old(1, 1), schema: plain, set: map[string]string{"delta.appendOnly": "true"}, want: *old(1, 2)},
		"a legacy pair says it": {from: old(1, 2), schema: plain, asked: []string{FeatureColumnMapping}, want: *old(2, 5)},
		"what is implied is listed": {
			from: old(1, 4), schema: plain, set: map[string]string{"delta.enableInCommitTimestamps": "true"},
			want: Protocol{MinReaderVersion: 1, MinWriterVersion: 7, WriterFeatures: []string{
				"appendOnly", "changeDataFeed", "checkConstraints", "generatedColumns", "inCommitTimestamp", "invariants",
			}},
		},
		"readers keep version 2": {
			from: old(2, 5), schema: plain, set: map[string]string{"delta.enableInCommitTimestamps": "true"},
			want: Protocol{MinReaderVersion: 2, MinWriterVersion: 7, WriterFeatures: []string{
				"appendOnly", "changeDataFeed", "checkConstraints", "columnMapping", "generatedColumns", "inCommitTimestamp", "invariants",
			}},
		},
		"both lists": {
			from: old(2, 5), schema: schema,
			want: Protocol{
				MinReaderVersion: 3, MinWriterVersion: 7, ReaderFeatures: []string{"columnMapping", "timestampNtz"},
				WriterFeatures: []string{
					"appendOnly", "changeDataFeed", "checkConstraints", "columnMapping", "generatedColumns", "invariants", "timestampNtz",
				},
			},
		},
		"unneeded ones stay": {
			from: &Protocol{
				MinReaderVersion: 3, MinWriterVersion: 7, ReaderFeatures: []string{"v2Checkpoint"},
				WriterFeatures: []string{"v2Checkpoint"},
			},
			schema: plain, set: map[string]string{"delta.enableDeletionVectors": "true"},
			want: Protocol{
				MinReaderVersion: 3, MinWriterVersion: 7, ReaderFeatures: []string{"deletionVectors", "v2Checkpoint"},
				WriterFeatures: []string{"deletionVectors", "v2Checkpoint"},
			},
		},
		"with its basis": {
			from: old(1, 2), schema: plain, asked: []string{FeatureRowTracking},
			want: Protocol{MinReaderVersion: 1, MinWriterVersion: 7, WriterFeatures: []string{
				"appendOnly", "domainMetadata", "invariants", "rowTracking",
			}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Design{Schema: tc.schema, Properties: tc.set, Asked: tc.asked}.Upgrade(tc.from)
			if err != nil {
				t.Fatal(err)
			}
			if got.MinReaderVersion != tc.want.MinReaderVersion || got.MinWriterVersion != tc.want.MinWriterVersion ||
				!slices.Equal(got.ReaderFeatures, tc.want.ReaderFeatures) || !slices.Equal(got.WriterFeatures, tc.want.WriterFeatures) {
				t.Errorf("got %+v", *got)
			}
			if err := got.Check(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestDesignRefusesByName(t *testing.T) {
	schema, err := ParseColumns("id bigint")
	if err != nil {
		t.Fatal(err)
	}
	for want, d := range map[string]Design{
		"noSuchFeature":  {Schema: schema, Asked: []string{"noSuchFeature"}},
		"catalogManaged": {Schema: schema, Asked: []string{FeatureCatalogManaged}},
	} {
		_, err := d.NewProtocol()
		if !errors.Is(err, ErrUnsupportedFeature) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
