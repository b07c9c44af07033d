package pipeline_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/pipeline"
	"github.com/lakectl/lakectl/table"
)

// TestTwinsAgreeWithValidator holds each SQL twin to validator.Var: random values of every kind, every tag with a twin,
// judged by both.
func TestTwinsAgreeWithValidator(t *testing.T) {
	const seed = 20260731
	rnd := clock.SeededRand(seed)
	pick := func(list []string) string { return list[clock.Int64N(rnd, int64(len(list)))] }
	pieces := []string{"", "a", "Z", "é", "9", " ", "-", ".", "+", "b1", "\n", "日本", "0x1", "LAX", "1e3", "12.5", "-7", "'", "%"}
	values := map[string]func() string{
		"string": func() string {
			return "'" + strings.ReplaceAll(pick(pieces)+pick(pieces)+pick(pieces), "'", "''") + "'"
		},
		"bigint": func() string { return fmt.Sprintf("CAST(%d AS BIGINT)", clock.Int64N(rnd, 40)-20) },
		"double": func() string {
			f := float64(clock.Int64N(rnd, 80)-40) / 4
			switch clock.Int64N(rnd, 12) {
			case 0:
				return "CAST('nan' AS DOUBLE)"
			case 1:
				return "CAST('infinity' AS DOUBLE)"
			case 2:
				return "CAST('-infinity' AS DOUBLE)"
			case 3:
				return "CAST(" + fmt.Sprint(math.SmallestNonzeroFloat64) + " AS DOUBLE)"
			}
			return fmt.Sprintf("CAST(%v AS DOUBLE)", f)
		},
		"float":   func() string { return fmt.Sprintf("CAST(%v AS FLOAT)", float32(clock.Int64N(rnd, 80)-40)/10) },
		"boolean": func() string { return pick([]string{"TRUE", "FALSE"}) },
	}
	tags := map[string][]string{
		"string": {
			"required", "eq=a", "ne=a9", "gt=2", "gte=2", "lt=2", "lte=2", "len=3", "min=1", "max=3", "oneof=a 9 'b1 '", "alpha", "alphanum", "numeric",
			"required,alphanum,len=3", "min=0x1", "eq=", "required,min=1,max=2",
		},
		"bigint":  {"required", "eq=3", "ne=3", "gt=-4", "gte=0", "lt=5", "lte=5", "len=7", "min=-2", "max=010", "oneof=1 2 -3", "numeric", "gte=0x5"},
		"double":  {"required", "eq=2.5", "ne=2.5", "gt=-4.25", "gte=0", "lt=5", "lte=5", "len=7", "min=-2", "max=1e1", "numeric"},
		"float":   {"required", "eq=2.5", "ne=0.1", "gt=0.3", "gte=0.3", "lt=0.3", "lte=0.3", "len=0.7", "min=-0.1", "max=1e1", "numeric"},
		"boolean": {"required", "eq=true", "ne=true", "eq=0"},
	}
	e := newEngine(t)
	for kind, list := range tags {
		var literals []string
		for range 60 {
			literals = append(literals, "("+values[kind]()+")")
		}
		literals = append(literals, "(NULL)")
		for _, tag := range list {
			sql, ok := pipeline.Twin(tag, "v", kind)
			if !ok {
				t.Errorf("%s on %s has no twin", tag, kind)
				continue
			}
			rows, err := e.Query(t.Context(), table.Query{SQL: "SELECT v, " + sql + " FROM (VALUES " + strings.Join(literals, ", ") + ") AS x(v)"})
			if err != nil {
				t.Fatalf("%s on %s: %v", tag, kind, err)
			}
			for row, err := range rows.All {
				if err != nil {
					t.Fatal(err)
				}
				want := pipeline.Passes(row[0], tag)
				if got, _ := row[1].(bool); got != want || row[1] == nil {
					t.Errorf("seed %d: %s of %s %#v: SQL says %v, the validator %v", seed, tag, kind, row[0], row[1], want)
				}
			}
			if err := rows.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestGoValidators judges by tags that have no twin, over the distinct values of a column.
func TestGoValidators(t *testing.T) {
	l := newLake(t, map[string]string{"bronze/people.ingest.yml": `source: {path: "file:///landing", format: csv, min_age: 0s}
columns:
  mail: {validate: "required,email"}
  country: {validate: {tag: "iso3166_1_alpha3", on_fail: warn}}
  latitude: {validate: "latitude"}
quarantine: {max_ratio: 100%}
`})
	l.land("a.csv", "id,mail,country,latitude\n1,a@example.org,USA,12.5\n2,nobody,USA,\n3,,USA,1\n4,b@example.org,Thailand,99.5\n5,c@example.org,Thailand,90\n")
	rep := l.run("bronze.people warned +2 ~0 -0 quarantine 3")
	if n, names := rep.Tasks[0].Warned(); n != 2 || names[0] != "country" {
		t.Errorf("warned %d %v", n, names)
	}
	l.want("bronze.people", "SELECT id, mail, country, latitude FROM t ORDER BY id", "1|a@example.org|USA|12.5", "5|c@example.org|Thailand|90")
	l.want("bronze.people__quarantine", "SELECT _detail, _rules FROM t ORDER BY _position",
		"mail=nobody|[mail]", "mail=NULL|[mail]", "latitude=99.5|[latitude]")
}
