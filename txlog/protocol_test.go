package txlog

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestProtocolRules(t *testing.T) {
	for _, tc := range []struct {
		name        string
		p           Protocol
		read, write error
		names       string
	}{
		{name: "oldest", p: Protocol{MinReaderVersion: 1, MinWriterVersion: 1}},
		{name: "legacy", p: Protocol{MinReaderVersion: 2, MinWriterVersion: 6}},
		{name: "ours", p: Protocol{MinReaderVersion: 3, MinWriterVersion: 7, ReaderFeatures: []string{"deletionVectors"}, WriterFeatures: []string{"appendOnly", "deletionVectors", "invariants"}}},
		{name: "(2,7) with column mapping", p: Protocol{MinReaderVersion: 2, MinWriterVersion: 7, WriterFeatures: []string{"columnMapping"}}},
		{name: "old spelling", p: Protocol{MinReaderVersion: 3, MinWriterVersion: 7, ReaderFeatures: []string{"timestampWithoutTimezone"}, WriterFeatures: []string{"timestampWithoutTimezone"}}},
		{name: "reader 99", p: Protocol{MinReaderVersion: 99, MinWriterVersion: 7}, read: ErrUnsupportedFeature, write: ErrUnsupportedFeature, names: "minReaderVersion 99"},
		{name: "writer 8", p: Protocol{MinReaderVersion: 1, MinWriterVersion: 8}, write: ErrUnsupportedFeature, names: "minWriterVersion 8"},
		{name: "unknown to readers", p: Protocol{MinReaderVersion: 3, MinWriterVersion: 7, ReaderFeatures: []string{"b", "a"}, WriterFeatures: []string{"a", "b", "c"}}, read: ErrUnsupportedFeature, write: ErrUnsupportedFeature, names: "a, b"},
		{name: "unknown to writers", p: Protocol{MinReaderVersion: 1, MinWriterVersion: 7, WriterFeatures: []string{"z", "clustering", "icebergCompatV3"}}, write: ErrUnsupportedFeature, names: "icebergCompatV3, z"},
		{name: "catalog", p: Protocol{MinReaderVersion: 3, MinWriterVersion: 7, ReaderFeatures: []string{"catalogManaged"}, WriterFeatures: []string{"catalogManaged"}}, read: ErrUnsupportedFeature, write: ErrUnsupportedFeature, names: "the catalog's own client"},
		{name: "(3,2)", p: Protocol{MinReaderVersion: 3, MinWriterVersion: 2}, read: ErrInvalidProtocol, write: ErrInvalidProtocol},
		{name: "3 without a list", p: Protocol{MinReaderVersion: 3, MinWriterVersion: 7, WriterFeatures: []string{}}, read: ErrInvalidProtocol, write: ErrInvalidProtocol},
		{name: "7 without a list", p: Protocol{MinReaderVersion: 1, MinWriterVersion: 7}, read: ErrInvalidProtocol, write: ErrInvalidProtocol},
		{name: "reader list below 3", p: Protocol{MinReaderVersion: 1, MinWriterVersion: 7, ReaderFeatures: []string{"x"}, WriterFeatures: []string{"x"}}, read: ErrInvalidProtocol, write: ErrInvalidProtocol},
		{name: "writer list below 7", p: Protocol{MinReaderVersion: 1, MinWriterVersion: 2, WriterFeatures: []string{"x"}}, read: ErrInvalidProtocol, write: ErrInvalidProtocol},
		{name: "reader list only", p: Protocol{MinReaderVersion: 3, MinWriterVersion: 7, ReaderFeatures: []string{"deletionVectors"}, WriterFeatures: []string{}}, read: ErrInvalidProtocol, write: ErrInvalidProtocol, names: "deletionVectors"},
		{name: "writer list only", p: Protocol{MinReaderVersion: 3, MinWriterVersion: 7, ReaderFeatures: []string{}, WriterFeatures: []string{"columnMapping"}}, read: ErrInvalidProtocol, write: ErrInvalidProtocol, names: "columnMapping"},
		{name: "version 0", p: Protocol{}, read: ErrInvalidProtocol, write: ErrInvalidProtocol},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := tc.p.checkReadable(); !errors.Is(err, tc.read) || tc.read == nil && err != nil {
				t.Errorf("read: %v", err)
			}
			err := tc.p.checkWritable()
			if !errors.Is(err, tc.write) || tc.write == nil && err != nil {
				t.Errorf("write: %v", err)
			}
			if err != nil && !strings.Contains(err.Error(), tc.names) {
				t.Errorf("%v does not name %s", err, tc.names)
			}
		})
	}
	legacy := Protocol{MinReaderVersion: 2, MinWriterVersion: 5}
	if !legacy.Supports(FeatureColumnMapping) || legacy.Supports(FeatureIdentityColumns) || legacy.Supports(FeatureDeletionVectors) {
		t.Error("implied features")
	}
}

// TestActiveDutiesRefuseWrites: what is switched on and beyond us stops writers, by name and with its expression.
func TestActiveDutiesRefuseWrites(t *testing.T) {
	column := func(metadata string) string {
		return `{"type":"struct","fields":[{"name":"id","type":"long","nullable":true,"metadata":{` + metadata + `}}]}`
	}
	for name, tc := range map[string]struct {
		schema     string
		properties map[string]string
		want       string
	}{
		"plain":           {schema: column("")},
		"change feed":     {schema: column(""), properties: map[string]string{"delta.enableChangeDataFeed": "true"}},
		"feed column":     {schema: strings.Replace(column(""), `"id"`, `"_Change_Type"`, 1), properties: map[string]string{"delta.enableChangeDataCapture": "true"}, want: "_Change_Type"},
		"feed off":        {schema: strings.Replace(column(""), `"id"`, `"_change_type"`, 1), properties: map[string]string{"delta.enableChangeDataFeed": "false"}},
		"row tracking":    {schema: column(""), properties: map[string]string{"delta.enableRowTracking": "true"}, want: FeatureRowTracking},
		"uniform":         {schema: column(""), properties: map[string]string{"delta.universalFormat.enabledFormats": "iceberg"}, want: "universalFormat"},
		"mapping":         {schema: column(`"delta.columnMapping.id":1,"delta.columnMapping.physicalName":"x"`), properties: map[string]string{"delta.columnMapping.mode": "name"}},
		"unknown type":    {schema: strings.Replace(column(""), "long", "interval day", 1), want: "interval day"},
		"broken mapping":  {schema: column(""), properties: map[string]string{"delta.columnMapping.mode": "name"}, want: "lacks an id"},
		"missing columns": {schema: "", want: "no schemaString"},
	} {
		t.Run(name, func(t *testing.T) {
			l, _ := testLog(t)
			s := &Snapshot{
				log: l, protocol: &Protocol{MinReaderVersion: 2, MinWriterVersion: 6},
				metadata: &Metadata{ID: "x", Provider: "parquet", SchemaString: tc.schema, Configuration: tc.properties}, live: newLiveFiles(newFilesBuilder(l, 0).build(), nil),
			}
			if err := s.finish(); err != nil {
				t.Fatal(err)
			}
			err := s.CheckWritable()
			if (err != nil) != (tc.want != "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("got %v", err)
			}
			if err == nil {
				return
			}
			x := l.Begin(s, Operation{Name: "WRITE"})
			x.Stage(&Add{Path: "a", Size: 1, DataChange: true})
			if _, err := x.Commit(t.Context()); err == nil {
				t.Error("was written all the same")
			}
		})
	}
}

func TestDefaultProtocol(t *testing.T) {
	for name, tc := range map[string]struct {
		columns    string
		partition  []string
		properties map[string]string
		reader     int
		features   []string
		bad        error
	}{
		"plain":      {columns: "id bigint", reader: 3, features: []string{"appendOnly", "deletionVectors", "invariants"}},
		"no vectors": {columns: "id bigint", properties: map[string]string{"delta.enableDeletionVectors": "false"}, reader: 1},
		"ntz":        {columns: "id timestamp_ntz", properties: map[string]string{"delta.enableDeletionVectors": "false"}, reader: 3, features: []string{"appendOnly", "invariants", "timestampNtz"}},
		"in-commit":  {columns: "id bigint", properties: map[string]string{"delta.enableDeletionVectors": "false", "delta.enableInCommitTimestamps": "true"}, reader: 1, features: []string{"appendOnly", "inCommitTimestamp", "invariants"}},
		"feed":       {columns: "id bigint", properties: map[string]string{"delta.enableChangeDataFeed": "true"}, reader: 3, features: []string{"appendOnly", "changeDataFeed", "deletionVectors", "invariants"}},
		"old feed":   {columns: "id bigint", properties: map[string]string{"delta.enableChangeDataCapture": "true", "delta.enableDeletionVectors": "false"}, reader: 1},
		"nested":     {columns: "id array<int>, x int", partition: []string{"id"}, bad: ErrUnsupportedType},
	} {
		t.Run(name, func(t *testing.T) {
			schema, err := ParseColumns(tc.columns)
			if err != nil {
				t.Fatal(err)
			}
			p, err := DefaultProtocol(schema, tc.partition, tc.properties)
			if tc.bad != nil {
				if !errors.Is(err, tc.bad) {
					t.Fatalf("got %v", err)
				}
				return
			}
			if err != nil || p.MinReaderVersion != tc.reader || !slices.Equal(p.WriterFeatures, tc.features) || p.Check() != nil {
				t.Errorf("%+v, %v", p, err)
			}
		})
	}
	schema, _ := ParseColumns("id bigint")
	if _, err := DefaultProtocol(schema, []string{"nope"}, nil); err == nil {
		t.Error("partition column that is not there")
	}
	if _, err := DefaultProtocol(schema, []string{"id"}, nil); err == nil {
		t.Error("nothing but partition columns")
	}
}

func TestParseInterval(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"interval 30 days": 720 * time.Hour, "1 week": 168 * time.Hour, "INTERVAL 2 Hours 30 minutes": 150 * time.Minute, "5 microseconds": 5 * time.Microsecond,
		"interval 0 days": 0, "1 month": -1, "-1 days": -1, "": -1, "interval": -1, "1": -1, "days 1": -1, "999999999999 weeks": -1, "1.5 days": -1,
	} {
		got, err := ParseInterval(text)
		if (err != nil) != (want < 0) || err == nil && got != want {
			t.Errorf("%q gives %v, %v", text, got, err)
		}
	}
}

func FuzzParseInterval(f *testing.F) {
	f.Add("interval 30 days")
	f.Fuzz(func(t *testing.T, s string) {
		if d, err := ParseInterval(s); err == nil && d < 0 {
			t.Fatalf("%q gives %v", s, d)
		}
	})
}
