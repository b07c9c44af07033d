package pipeline

import (
	"errors"
	"maps"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// sound is a small project without a mistake.
func sound() map[string]string {
	return map[string]string{
		"lake.yml": `version: 1
project: flights
vars: {landing: {type: string}}
environments:
  dev: {warehouse: "file://./lake", vars: {landing: "file://./landing"}}
storage: {endpoint: "${env:NOT_SET}"}
`,
		"pipelines/flights/pipeline.yml": "timezone: America/Chicago\ntrigger: {cron: \"30 2 * * *\"}\n",
		"pipelines/flights/bronze/flights.ingest.yml": `source:
  path: "${landing}/flights/"
  glob: "dt=*/*.csv"
  format: csv
  path_columns: {dt: date}
schema:
  columns: {date: timestamp_ntz, delay: bigint, origin: string}
  contract: {columns: rescue}
partition_by: [dt]
`,
		"pipelines/flights/silver/flights.sql": `/* @lake
kind: merge
key: [flight_at, origin]
sequence_by: [_file, _row]
not_stored: [_file, _row]
expect:
  delay_sane: {sql: "delay_min BETWEEN -120 AND 1440", on_fail: quarantine}
columns:
  origin: {type: string, validate: "required,len=3"}
@lake */
SELECT date AS flight_at, origin, delay AS delay_min, _file, _row FROM bronze.flights;
`,
	}
}

func load(t *testing.T, files map[string]string) (*Project, error) {
	t.Helper()
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return Load(t.Context(), fsys, LoadOptions{Dir: "/work/flights", User: "ann"})
}

func TestLoadSound(t *testing.T) {
	p, err := load(t, sound())
	if err != nil {
		t.Fatal(err)
	}
	if p.Env.Warehouse != "file:///work/flights/lake" {
		t.Errorf("warehouse is %s", p.Env.Warehouse)
	}
	m, ok := p.Model("bronze.flights")
	if !ok || m.ingest.url != "file:///work/flights/landing/flights/" && m.ingest.url != "file:///work/flights/landing/flights" {
		t.Errorf("landing folder is %+v", m.ingest)
	}
	pl, _ := p.Pipeline("flights")
	if pl.TimeZone != "America/Chicago" || pl.Trigger.Cron != "30 2 * * *" || pl.Overlap != "queue" || pl.Retries.Max != 3 || len(pl.Models) != 2 {
		t.Errorf("pipeline is %+v", pl)
	}
}

func TestLoadProblems(t *testing.T) {
	const (
		lake   = "lake.yml"
		pl     = "pipelines/flights/pipeline.yml"
		ingest = "pipelines/flights/bronze/flights.ingest.yml"
		silver = "pipelines/flights/silver/flights.sql"
	)
	tests := []struct {
		name, file, old, new string
		want                 string
	}{
		{
			"the sample of the specification", silver, "on_fail: quarantine}", "on_fail: quarantin}",
			`silver/flights.sql:7:65: expect.delay_sane.on_fail: bad_value: "quarantin" is not one of warn, quarantine, drop, fail`,
		},
		{
			"unknown key", silver, "kind: merge", "kind: merge\nsequenceby: [_row]",
			`silver/flights.sql:3:1: sequenceby: unknown_key: "sequenceby" is not a key here; did you mean "sequence_by"?`,
		},
		{
			"unknown key in lake.yml", lake, "project: flights", "project: flights\nprojekt: x",
			`lake.yml:3:1: projekt: unknown_key: "projekt" is not a key here; did you mean "project"?`,
		},
		{"missing key", lake, "project: flights\n", "", `lake.yml:1:1: project: missing_key: is needed`},
		{
			"wrong type", pl, "timezone: America/Chicago", "timezone: America/Chicago\nparallel: many",
			`pipelines/flights/pipeline.yml:2:11: parallel: bad_type: needs a whole number, not "many"`,
		},
		{
			"list for a word", pl, "timezone: America/Chicago", "timezone: [UTC]",
			`pipelines/flights/pipeline.yml:1:11: timezone: bad_type: needs a string, not a list`,
		},
		{"number for a word", lake, "project: flights", "project: 7", `lake.yml:2:10: project: bad_type: needs a string, not the number 7`},
		{
			"unknown zone", pl, "America/Chicago", "America/Chikago",
			`pipelines/flights/pipeline.yml:1:11: timezone: bad_value: "America/Chikago" is not a time zone such as America/Chicago`,
		},
		{
			"cron", pl, "30 2 * * *", "@every 1h",
			`pipelines/flights/pipeline.yml:2:17: trigger.cron: bad_value: @every is not allowed; write five fields`,
		},
		{
			"key of a later version", pl, "timezone: America/Chicago", "timezone: America/Chicago\ndeadline: {ready_by: \"06:00\"}",
			`pipelines/flights/pipeline.yml:2:1: deadline: bad_value: not supported yet in this version: deadline`,
		},
		{
			"kind of a later version", silver, "kind: merge", "kind: scd2",
			`silver/flights.sql:2:7: kind: bad_value: not supported yet in this version: scd2`,
		},
		{
			"unknown kind", silver, "kind: merge", "kind: merg",
			`silver/flights.sql:2:7: kind: bad_value: "merg" is not one of append, merge, scd2, interval, full, view`,
		},
		{
			"key of another kind", silver, "kind: merge", "kind: merge\nallow_empty: true",
			`silver/flights.sql:3:1: allow_empty: no_effect: does nothing for kind merge`,
		},
		{
			"ordering column that orders nothing", silver, "not_stored: [_file, _row]", "not_stored: [_file, _row, delay_min]",
			`silver/flights.sql:5:27: not_stored[2]: no_effect: "delay_min" orders nothing: it is not in sequence_by`,
		},
		{
			"tag for another type", silver, `origin: {type: string, validate: "required,len=3"}`, `origin: {type: boolean, validate: "email"}`,
			`silver/flights.sql:9:37: columns.origin.validate: bad_value: not for a boolean column: email is for other values`,
		},
		{
			"unknown tag", silver, "required,len=3", "required,leng=3",
			`silver/flights.sql:9:36: columns.origin.validate: bad_value: not for a string column: Undefined validation function 'leng'`,
		},
		{
			"tag that asks the network", silver, "required,len=3", "tcp_addr",
			`silver/flights.sql:9:36: columns.origin.validate: bad_value: "tcp_addr" would ask the network`,
		},
		{
			"unknown variable", ingest, "${landing}", "${langing}",
			`bronze/flights.ingest.yml:2:9: source.path: bad_ref: ${langing} names no variable of lake.yml; there are landing, user`,
		},
		{
			"format of a later version", ingest, "format: csv", "format: parquet",
			`bronze/flights.ingest.yml:4:11: source.format: bad_value: not supported yet in this version: parquet`,
		},
		{
			"column twice", ingest, "path_columns: {dt: date}", "path_columns: {origin: string}",
			`bronze/flights.ingest.yml:5:26: source.path_columns.origin: conflict: "origin" is a column of the file already`,
		},
		{
			"rescue column without rescue", ingest, "contract: {columns: rescue}", "contract: {columns: freeze, data_type: freeze}\n  rescued: _bad",
			`bronze/flights.ingest.yml:9:12: schema.rescued: no_effect: no contract rescues anything`,
		},
		{
			"bad type of a column", ingest, "delay: bigint", "delay: bigdecimal",
			`bronze/flights.ingest.yml:7:41: schema.columns.delay: bad_value: "bigdecimal" is not a type such as bigint, decimal(10,2) or timestamp_ntz`,
		},
		{
			"key twice", ingest, "partition_by: [dt]", "partition_by: [dt]\npartition_by: [dt]",
			`bronze/flights.ingest.yml:10:1: partition_by: conflict: is given twice`,
		},
		{
			"undeclared variable", lake, `vars: {landing: "file://./landing"}`, `vars: {landing: "file://./landing", lunch: "x"}`,
			`lake.yml:5:80: environments.dev.vars.lunch: bad_ref: "lunch" is not declared under vars`,
		},
		{"warehouse elsewhere", lake, "file://./lake", "https://lake", `lake.yml:5:20: environments.dev.warehouse: bad_value: must be s3://bucket/prefix or file://folder`},
		{
			"limit", lake, "project: flights", "project: flights\nlimits: {line_byte: 1}",
			`lake.yml:3:10: limits.line_byte: unknown_key: "line_byte" is not a key here; did you mean "line_bytes"?`,
		},
		{"no front matter", silver, "/* @lake\n", "/* lake\n", `silver/flights.sql:1:1: missing_key: a model begins with /* @lake … @lake */`},
		{"not YAML", pl, "timezone: America/Chicago", "timezone: [", `pipelines/flights/pipeline.yml:`},
		{
			"retention of txn", ingest, "partition_by: [dt]", "partition_by: [dt]\nproperties: {delta.setTransactionRetentionDuration: \"interval 1 day\"}",
			`would let the table forget what was loaded`,
		},
		{
			"landing folder on S3 without an endpoint", lake, `landing: "file://./landing"`, `landing: "s3://drops"`,
			`lake.yml:6:21: storage.endpoint: bad_ref: the environment variable NOT_SET is not set`,
		},
		{
			"warehouse on S3 without an endpoint", lake, `"file://./lake"`, `"s3://lake/x"`,
			`lake.yml:6:21: storage.endpoint: bad_ref: the environment variable NOT_SET is not set`,
		},
		{"rule with two forms", silver, "on_fail: quarantine}", "column: origin, validate: email}", `silver/flights.sql:7:15: expect.delay_sane: conflict: say sql, or column and validate`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			files := maps.Clone(sound())
			changed := strings.Replace(files[tt.file], tt.old, tt.new, 1)
			if changed == files[tt.file] {
				t.Fatalf("%q is not in %s", tt.old, tt.file)
			}
			files[tt.file] = changed
			_, err := load(t, files)
			var problems *Problems
			if !errors.As(err, &problems) {
				t.Fatalf("got %v, want problems", err)
			}
			if got := problems.Error(); !strings.Contains(got, tt.want) {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			} else if n := len(problems.List); n != 1 {
				t.Errorf("%d problems, want one:\n%s", n, got)
			}
		})
	}
}

func TestLoadTellsEveryProblem(t *testing.T) {
	files := sound()
	files["lake.yml"] = strings.Replace(files["lake.yml"], "version: 1", "version: 2\nalerts: {}", 1)
	files["pipelines/flights/pipeline.yml"] = "parallel: 0\noverlap: sometimes\ncatchup: all\n"
	files["pipelines/flights/silver/flights__x.sql"] = "SELECT 1"
	files["pipelines/flights/tests/a.test.yml"] = "x: 1"
	_, err := load(t, files)
	want := strings.Join([]string{
		`lake.yml:1:10: version: bad_value: must be 1, not 2`,
		`lake.yml:2:1: alerts: bad_value: not supported yet in this version: alerts`,
		`pipelines/flights/pipeline.yml:1:11: parallel: bad_value: must be at least 1, not 0`,
		`pipelines/flights/pipeline.yml:2:10: overlap: bad_value: "sometimes" is not one of queue, skip, cancel_running, fail`,
		`pipelines/flights/pipeline.yml:3:10: catchup: no_effect: without trigger.cron there are no slots to miss`,
		`pipelines/flights/silver/flights__x.sql: bad_value: the file's name must match [a-z][a-z0-9_]{0,62} without two underscores in a row`,
		`pipelines/flights/tests: bad_value: not supported yet in this version: tests`,
	}, "\n")
	if err == nil {
		t.Fatal("no error")
	}
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Error(diff)
	}
}

func TestBodyOf(t *testing.T) {
	for sql, want := range map[string]string{
		"SELECT 1":                              "(SELECT 1\n)",
		" SELECT 1 ; ;\n":                       "( SELECT 1\n)",
		"SELECT 1 -- one; two\n":                "(SELECT 1\n)",
		"SELECT ';' AS x; -- done\n/* ; */ ;":   "(SELECT ';' AS x\n)",
		"SELECT \"a;\"\"b\" /* in; */ FROM t; ": "(SELECT \"a;\"\"b\" /* in; */ FROM t\n)",
		"SELECT 'open":                          "(SELECT 'open\n)",
		"":                                      "(\n)",
	} {
		if got := bodyOf(sql); got != want {
			t.Errorf("bodyOf(%q) = %q, want %q", sql, got, want)
		}
	}
}

func TestExpandSQL(t *testing.T) {
	lookup := func(name string) (string, error) { return "<" + name + ">", nil }
	for sql, want := range map[string]string{
		"SELECT @as_of, ${ x }, a@>b, a<@b, '@as_of', \"@as_of\" -- @as_of\n, @run_id /* @x /* @y */ ${z} */": "SELECT <@as_of>, <${x}>, a@>b, a<@b, '@as_of', \"@as_of\" -- @as_of\n, <@run_id> /* @x /* @y */ ${z} */",
		"'it''s @x' @y1":     "'it''s @x' <@y1>",
		"${open":             "<${open>",
		"'open @x":           "'open @x",
		"SELECT '$' || ${a}": "SELECT '$' || <${a}>",
	} {
		got, _, err := expandSQL(sql, lookup)
		if err != nil || got != want {
			t.Errorf("expandSQL(%q) = %q, %v; want %q", sql, got, err, want)
		}
	}
	if _, at, err := expandSQL("SELECT 1, '${x}'", lookup); err == nil || at != 10 {
		t.Errorf("a variable in a string: %d, %v", at, err)
	}
}

func FuzzLoad(f *testing.F) {
	for name, text := range sound() {
		f.Add(name, text)
	}
	f.Fuzz(func(t *testing.T, name, text string) {
		files := sound()
		if _, ok := files[name]; !ok {
			name = "lake.yml"
		}
		files[name] = text
		_, err := load(t, files)
		var problems *Problems
		if err != nil && !errors.As(err, &problems) && !strings.Contains(err.Error(), "limit") {
			t.Errorf("an error that is no list of problems: %v", err)
		}
	})
}
