package pipeline_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lakectl/lakectl/pipeline"
)

// preview says what a run would plan: "silver.flights plan 2 after bronze.flights".
func (l *lake) preview() []string {
	l.t.Helper()
	before := l.keys()
	p, err := l.newRunner().Preview(l.t.Context(), pipeline.RunRequest{Run: "p/dry-run", Pipeline: "p", AsOf: asOf})
	if err != nil {
		l.t.Fatal(err)
	}
	if diff := cmp.Diff(before, l.keys()); diff != "" {
		l.t.Errorf("a preview writes:\n%s", diff)
	}
	var out []string
	for _, t := range p.Tasks {
		line := t.Model
		if t.Plan != nil {
			line += fmt.Sprintf(" plan %d", t.Plan.N)
		}
		if len(t.After) > 0 {
			line += " after " + strings.Join(t.After, ",")
		}
		if t.Error != "" {
			line += " " + string(t.ErrorClass)
		}
		out = append(out, line)
	}
	return out
}

func (l *lake) keys() map[string]string {
	l.t.Helper()
	out := map[string]string{}
	for info, err := range l.warehouse.List(l.t.Context(), "", "") {
		if err != nil {
			l.t.Fatal(err)
		}
		out[info.Key] = info.ETag
	}
	return out
}

func TestPreviewWritesNothing(t *testing.T) {
	l := flights(t)
	want := func(want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, l.preview()); diff != "" {
			t.Errorf("preview (-want +got):\n%s", diff)
		}
	}
	want("bronze.flights", "silver.flights", "gold.delay")
	l.land("dt=2001-02-01/a.csv", oneRow)
	want("bronze.flights plan 1", "silver.flights after bronze.flights", "gold.delay after silver.flights")
	l.run("bronze.flights ok +1 ~0 -0", "silver.flights ok +1 ~0 -0", "gold.delay ok +1 ~0 -0")
	want("bronze.flights", "silver.flights", "gold.delay plan 2")
	l.land("dt=2001-02-02/b.csv", oneRow)
	want("bronze.flights plan 2", "silver.flights after bronze.flights", "gold.delay plan 2 after silver.flights")
	l.write("pipelines/p/silver/flights.sql", strings.Replace(silverFlights, "delay AS", "dely AS", 1))
	want("bronze.flights plan 2", "silver.flights after bronze.flights sql", "gold.delay plan 2")
}
