package pipeline_test

import (
	"strings"
	"testing"

	"github.com/lakectl/lakectl/pipeline"
)

// TestBrokenModelIsNotGreen breaks models that have nothing to do: the run fails all the same, and nothing of it runs.
func TestBrokenModelIsNotGreen(t *testing.T) {
	for _, tt := range []struct{ name, file, old, new, want string }{
		{"a column that is not there", "silver/flights.sql", "delay AS delay_min", "dely AS delay_min", `silver/flights.sql: sql: `},
		{"a column gained", "silver/flights.sql", "_file, _row FROM", "_file, _row, _plan AS p FROM", `the SELECT gained the column "p"`},
		{"a column lost", "gold/delay.sql", "SELECT day,", "SELECT day AS d,", `there is no column "day"`},
		{"a rule", "silver/flights.sql", "delay_min < 60", "delay < 60", `expect.late.sql: sql: `},
		{"a type", "silver/flights.sql", "AS day, origin,", "AS day, length(origin) AS origin,", `declared string, the SELECT gives bigint`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := flights(t)
			l.land("dt=2001-02-01/a.csv", oneRow)
			l.run("bronze.flights ok +1 ~0 -0", "silver.flights ok +1 ~0 -0", "gold.delay ok +1 ~0 -0")
			file := "pipelines/p/" + tt.file
			was := string(l.files[file].Data)
			if l.write(file, strings.Replace(was, tt.old, tt.new, 1)); string(l.files[file].Data) == was {
				t.Fatal("nothing was broken")
			}
			l.land("dt=2001-02-02/b.csv", oneRow)
			rep, err := l.try(l.warehouse)
			if err != nil {
				t.Fatal(err)
			}
			said := ""
			for _, task := range rep.Tasks {
				said += task.Error
				if task.Plan != 0 || task.Status != pipeline.StatusFailed && task.Status != pipeline.StatusSkipped {
					t.Errorf("%s ran: %+v", task.Model, task)
				}
			}
			if rep.ExitCode() != pipeline.ExitError || len(rep.Tasks) != 3 || !strings.Contains(said, tt.want) {
				t.Errorf("exit code %d, %d tasks, said %q", rep.ExitCode(), len(rep.Tasks), said)
			}
			// Mended, the new file is loaded.
			l.write(file, was)
			l.run("bronze.flights ok +1 ~0 -0", "silver.flights ok +0 ~0 -0", "gold.delay ok +1 ~0 -1")
		})
	}
}

// TestBrokenModelBehindOpenIngest: the ingest may add the column that is missing, so its readers are judged after it.
func TestBrokenModelBehindOpenIngest(t *testing.T) {
	const ingest = "source: {path: \"file:///landing\", format: csv, min_age: 0s}\n"
	const merge = "/* @lake\nkind: merge\nkey: [id]\n@lake */\nSELECT id, name FROM bronze.a\n"
	l := newLake(t, map[string]string{"bronze/a.ingest.yml": ingest, "silver/a.sql": merge})
	l.land("1.csv", "id,name\n1,a\n")
	l.run("bronze.a ok +1 ~0 -0", "silver.a ok +1 ~0 -0")
	l.write("pipelines/p/silver/a.sql", strings.Replace(merge, "id, name", "id, nme", 1))
	if rep := l.run("bronze.a nothing", "silver.a failed sql"); rep.ExitCode() != pipeline.ExitError {
		t.Errorf("exit code %d", rep.ExitCode())
	}
	l.write("pipelines/p/silver/a.sql", strings.Replace(merge, "id, name", "id, coalesce(alias, name) AS name", 1))
	l.land("2.csv", "id,name,alias\n2,b,c\n")
	l.run("bronze.a ok +1 ~0 -0", "silver.a ok +1 ~0 -0")
	l.want("silver.a", "SELECT id, name FROM t ORDER BY 1", "1|a", "2|c")
}
