package pipeline_test

import (
	"strings"
	"testing"
)

func ingestOf(extra string) map[string]string {
	return map[string]string{"bronze/t.ingest.yml": "source: {path: \"file:///landing\", format: csv, min_age: 0s}\n" + extra}
}

func TestInferTypes(t *testing.T) {
	l := newLake(t, ingestOf(""))
	l.land("a.csv", "b,i,f,d,w,z,s,zip,e\ntrue,1,1.5,2001-02-03,2001-02-03 04:05:06,2001-02-03T04:05:06Z,x,00742,\nFALSE,-20,2,2001-02-04,2001-02-03,2001-02-03 04:05:06+02,1,12345,\n")
	l.run("bronze.t ok +2 ~0 -0")
	l.want("bronze.t", "SELECT column_name || ' ' || column_type FROM (DESCRIBE SELECT * EXCLUDE (_file, _file_etag, _file_modified, _row, _plan, _ingested_at) FROM t)",
		"b BOOLEAN", "i BIGINT", "f DOUBLE", "d DATE", "w TIMESTAMP", "z TIMESTAMP WITH TIME ZONE", "s VARCHAR", "zip VARCHAR", "e VARCHAR", "_rescued VARCHAR")
	// The schema is inferred once. What does not fit later is rescued, a new column is added, a lost one is NULL.
	l.land("b.csv", "i,s,b,new one,also\n1.5,y,maybe,7,2001-01-01\n")
	l.run("bronze.t failed contract")
	if err := l.landing.Delete(t.Context(), "b.csv"); err != nil {
		t.Fatal(err)
	}
	l.land("b.csv", "i,s,b,also\n1.5,y,maybe,2001-01-01\n")
	l.run("bronze.t ok +1 ~0 -0 rescued 1")
	l.want("bronze.t", "SELECT i, s, b, f, also, _rescued FROM t WHERE _file = 'b.csv'", `NULL|y|NULL|NULL|2001-01-01|{"b":"maybe","i":"1.5","_file":"b.csv"}`)
	l.want("bronze.t", "SELECT typeof(also), count(*) FROM t WHERE also IS NULL GROUP BY 1", "DATE|2")
}

func TestDeclaredTypesAreNotGuessed(t *testing.T) {
	l := newLake(t, ingestOf("schema:\n  columns: {n: bigint, d: \"decimal(6,2)\", w: timestamp_ntz, b: boolean, x: int}\n  contract: {columns: rescue}\nquarantine: {max_ratio: 100%}\n"))
	l.land("a.csv", strings.Join([]string{"n,d,w,b,x", "1,1.20,2001-02-03 04:05:06,yes,5", " 2 ,1.234,2001-02-03T04:05:06Z,2,3000000000", "1e3,12345.67,2001-02-30,off,1", "0x1,.5,2001-02-03 04:05:06.123456,1,+7", ""}, "\n"))
	l.run("bronze.t ok +4 ~0 -0 rescued 3")
	l.want("bronze.t", "SELECT n, d, w, b, x, CAST(json_keys(_rescued) AS VARCHAR) FROM t ORDER BY _row",
		"1|1.20|2001-02-03 04:05:06|true|5|NULL", "2|NULL|NULL|NULL|NULL|[d, w, b, x, _file]",
		"NULL|NULL|NULL|NULL|1|[n, d, w, b, _file]", "NULL|0.50|2001-02-03 04:05:06|true|7|[n, _file]")
}

func TestContracts(t *testing.T) {
	const good, odd = "n,s\n1,a\n", "n,s,more\nx,b,c\n2,d,\n"
	tests := []struct {
		columns, types string
		want           string
		rows           []string
	}{
		{"rescue", "rescue", "bronze.t ok +2 ~0 -0 rescued 1", []string{"1|a", "2|d", "NULL|b"}},
		{"freeze", "rescue", "bronze.t failed contract rescued 1", []string{"1|a"}},
		{"rescue", "freeze", "bronze.t failed contract rescued 1", []string{"1|a"}},
		{"discard_value", "discard_value", "bronze.t ok +2 ~0 -0", []string{"1|a", "2|d", "NULL|b"}},
		{"discard_row", "discard_value", "bronze.t ok +1 ~0 -0 quarantine 1", []string{"1|a", "2|d"}},
		{"discard_value", "discard_row", "bronze.t ok +1 ~0 -0 quarantine 1", []string{"1|a", "2|d"}},
	}
	for _, tt := range tests {
		t.Run(tt.columns+" "+tt.types, func(t *testing.T) {
			l := newLake(t, ingestOf("schema:\n  columns: {n: bigint, s: string}\n  contract: {columns: "+tt.columns+", data_type: "+tt.types+"}\nquarantine: {max_ratio: 100%}\n"))
			l.land("a.csv", good)
			l.run("bronze.t ok +1 ~0 -0")
			l.land("b.csv", odd)
			want := tt.want
			l.run(strings.Replace(want, "failed contract rescued 1", "failed rescued 1 contract", 1))
			l.want("bronze.t", "SELECT n, s FROM t ORDER BY ALL", tt.rows...)
		})
	}
}

func TestCSVOptions(t *testing.T) {
	l := newLake(t, map[string]string{"bronze/t.ingest.yml": `source:
  path: "file:///landing"
  format: csv
  min_age: 0s
  compression: gzip
  options: {header: false, delimiter: ";", null_strings: ["-", ""], skip: 1, date_format: "%d.%m.%Y"}
schema:
  columns: {n: bigint, d: date, s: string}
  contract: {columns: freeze}
`})
	l.land("a", zipped("made by a machine\n1;03.02.2001;-\n2;-;\"a;b\"\n"))
	l.run("bronze.t ok +2 ~0 -0")
	l.want("bronze.t", "SELECT n, d, s, _row FROM t ORDER BY n", "1|2001-02-03|NULL|1", "2|NULL|a;b|2")
}

func TestMinAgeAndBatches(t *testing.T) {
	l := newLake(t, map[string]string{"bronze/t.ingest.yml": "source: {path: \"file:///landing\", format: csv, min_age: 10h}\n"})
	l.land("a.csv", "n\n1\n")
	l.run("bronze.t nothing")
	l.write("pipelines/p/bronze/t.ingest.yml", "source: {path: \"file:///landing\", format: csv, min_age: 0s}\nbatch: {max_files: 2}\n")
	for _, k := range []string{"b.csv", "c.csv", "d.csv", "e.csv"} {
		l.land(k, "n\n1\n")
	}
	l.run("bronze.t ok +2 ~0 -0", "bronze.t ok +2 ~0 -0", "bronze.t ok +1 ~0 -0")
	l.land("a.csv", "n\n2\n")
	l.write("pipelines/p/bronze/t.ingest.yml", "source: {path: \"file:///landing\", format: csv, min_age: 0s, changed_file: ignore}\n")
	l.run("bronze.t nothing")
	l.write("pipelines/p/bronze/t.ingest.yml", "source: {path: \"file:///landing\", format: csv, min_age: 0s, changed_file: fail}\n")
	l.run("bronze.t failed contract")
	l.want("bronze.t", "SELECT _plan, count(*), max(n) FROM t GROUP BY 1 ORDER BY 1", "1|2|1", "2|2|1", "3|1|1")
}
