package pipeline_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/lakectl/lakectl/objectstore"
)

const flightsIngest = `source:
  path: "file:///landing"
  glob: "dt=*/*.csv*"
  format: csv
  path_columns: {dt: date}
  min_age: 0s
schema:
  columns: {date: timestamp_ntz, delay: bigint, origin: string}
  required: [date, origin]
  contract: {columns: rescue, data_type: rescue}
partition_by: [dt]
quarantine: {max_ratio: 100%}
`

func TestIngestOnce(t *testing.T) {
	l := newLake(t, map[string]string{"bronze/flights.ingest.yml": flightsIngest})
	l.run("bronze.flights nothing")
	l.land("dt=2001-02-01/a.csv", "date,delay,origin\n2001-02-01 06:00:00,5,LAX\n2001-02-01 07:00:00,,SFO\n")
	l.land("dt=2001-02-02/b.csv.gz", zipped("origin,date,delay\nJFK,2001-02-02 06:00:00,-3\n"))
	l.run("bronze.flights ok +3 ~0 -0")
	l.run("bronze.flights nothing")
	l.want("bronze.flights", `SELECT date, delay, origin, dt, _rescued, _file, _row, _plan, _ingested_at FROM t ORDER BY _file, _row`,
		"2001-02-01 06:00:00|5|LAX|2001-02-01|NULL|dt=2001-02-01/a.csv|1|1|2001-03-01 08:00:00",
		"2001-02-01 07:00:00|NULL|SFO|2001-02-01|NULL|dt=2001-02-01/a.csv|2|1|2001-03-01 08:00:00",
		"2001-02-02 06:00:00|-3|JFK|2001-02-02|NULL|dt=2001-02-02/b.csv.gz|1|1|2001-03-01 08:00:00")
	// A late file is a new identity.
	l.land("dt=2001-01-01/late.csv", "date,delay,origin\n2001-01-01 06:00:00,1,LAX\n")
	l.run("bronze.flights ok +1 ~0 -0")
	l.want("bronze.flights", "SELECT count(*), max(_plan) FROM t", "4|2")
}

func TestIngestRescueAndPoison(t *testing.T) {
	l := newLake(t, map[string]string{"bronze/flights.ingest.yml": flightsIngest})
	l.land("dt=2001-02-01/a.csv", "date,delay,origin,gate\n2001-02-01 06:00:00,5.5,LAX,B7\nnonsense\n\"2001-02-01 07:00:00,1,SFO,\n2001-02-01 08:00:00,2,\"S\"\"O\",\n")
	l.land("dt=2001-02-02/b.csv.gz", zipped("date,delay,origin\n2001-02-02 06:00:00,1,LAX\n")[:30])
	l.land("dt=2001-02-03/c.csv", "<!DOCTYPE html><html><body>Service unavailable</body></html>")
	l.land("dt=2001-02-04/d.csv", "")
	if rep := l.run("bronze.flights ok +2 ~0 -0 quarantine 4 rescued 1 poison 2"); rep.Tasks[0].RowsPoison != 2 {
		t.Errorf("%d poison lines", rep.Tasks[0].RowsPoison)
	}
	l.want("bronze.flights", `SELECT date, delay, origin, _rescued, _row FROM t ORDER BY _row`,
		`2001-02-01 06:00:00|NULL|LAX|{"gate":"B7","delay":"5.5","_file":"dt=2001-02-01/a.csv"}|1`,
		`2001-02-01 08:00:00|2|S"O|NULL|4`)
	l.want("bronze.flights__quarantine", `SELECT _reason, _detail, _source, _position, _raw FROM t ORDER BY _position`,
		`parse|has 1 values instead of 4|dt=2001-02-01/a.csv|dt=2001-02-01/a.csv:2|nonsense`,
		`parse|a quoted value is broken|dt=2001-02-01/a.csv|dt=2001-02-01/a.csv:3|"2001-02-01 07:00:00,1,SFO,`,
		`poison_file|unexpected EOF|dt=2001-02-02/b.csv.gz|dt=2001-02-02/b.csv.gz:0|NULL`,
		`poison_file|is a web page|dt=2001-02-03/c.csv|dt=2001-02-03/c.csv:0|NULL`)
	l.run("bronze.flights nothing")
}

// TestIngestCarriageReturnsLoadAllRows: such a file was taken for one long header line, and nothing of it was loaded.
func TestIngestCarriageReturnsLoadAllRows(t *testing.T) {
	l := newLake(t, map[string]string{"bronze/flights.ingest.yml": flightsIngest})
	l.land("dt=2001-02-01/a.csv", "date,delay,origin\r2001-02-01 06:00:00,5,LAX\r2001-02-01 07:00:00,6,SFO\rnonsense\r")
	l.land("dt=2001-02-02/b.csv", "date,delay,origin\r2001-02-02 06:00:00,5,LAX\n2001-02-02 07:00:00,6,SFO\n")
	l.run("bronze.flights ok +2 ~0 -0 quarantine 2 poison 1")
	l.want("bronze.flights", "SELECT delay, origin, _row FROM t ORDER BY _row", "5|LAX|1", "6|SFO|2")
	l.want("bronze.flights__quarantine", "SELECT _reason, _raw FROM t ORDER BY _position", "parse|nonsense", "poison_file|NULL")
}

// TestIngestOverLimitsStopsNothing: one file with too many columns, or one line with too much in unknown ones, kept
// everything else from being loaded, run after run.
func TestIngestOverLimitsStopsNothing(t *testing.T) {
	l := newLake(t, map[string]string{"bronze/flights.ingest.yml": flightsIngest})
	l.write("lake.yml", string(l.files["lake.yml"].Data)+"limits: {columns: 20, rescued_bytes: 10}\n")
	l.land("dt=2001-02-01/a.csv", "date,delay,origin,x\n2001-02-01 06:00:00,5,LAX,123456789012\n2001-02-01 07:00:00,6,SFO,1\n")
	l.land("dt=2001-02-02/b.csv", "date,delay,origin"+strings.Repeat(",a", 30)+"\n")
	l.run("bronze.flights ok +1 ~0 -0 quarantine 2 rescued 1 poison 1")
	l.want("bronze.flights__quarantine", "SELECT _reason, left(_detail, 20), left(_raw, 19) FROM t ORDER BY _position",
		"parse|limit rescued_bytes:|2001-02-01 06:00:00", "poison_file|limit columns: 33 is|NULL")
	l.run("bronze.flights nothing")
}

func TestIngestReload(t *testing.T) {
	l := newLake(t, map[string]string{"bronze/flights.ingest.yml": flightsIngest})
	l.land("dt=2001-02-01/a.csv", "date,delay,origin\n2001-02-01 06:00:00,5,LAX\nbroken\n")
	l.land("dt=2001-02-02/b.csv", "date,delay,origin\n2001-02-02 06:00:00,5,LAX\n")
	l.run("bronze.flights ok +2 ~0 -0 quarantine 1")
	l.land("dt=2001-02-01/a.csv", "date,delay,origin\n2001-02-01 06:00:00,6,LAX\n2001-02-01 07:00:00,7,LAX\n")
	l.run("bronze.flights ok +2 ~0 -1")
	l.want("bronze.flights", `SELECT delay, _plan FROM t ORDER BY delay`, "5|1", "6|2", "7|2")
	l.want("bronze.flights__quarantine", `SELECT count(*) FROM t`, "0")
}

func TestIngestControlFolderDeleted(t *testing.T) {
	l := newLake(t, map[string]string{"bronze/flights.ingest.yml": flightsIngest})
	l.land("dt=2001-02-01/a.csv", "date,delay,origin\n2001-02-01 06:00:00,5,LAX\n")
	l.land("dt=2001-02-02/b.csv", "only a line that is broken, twice\n")
	l.land("dt=2001-02-03/c.csv", "date,origin,delay\nbroken\n")
	l.run("bronze.flights failed contract")
	if err := l.landing.Delete(t.Context(), "dt=2001-02-02/b.csv"); err != nil {
		t.Fatal(err)
	}
	l.run("bronze.flights ok +1 ~0 -0 quarantine 1")
	l.forget()
	l.run("bronze.flights nothing")
	l.land("dt=2001-02-04/d.csv", "date,delay,origin\n2001-02-04 06:00:00,5,LAX\n")
	l.run("bronze.flights ok +1 ~0 -0")
	l.want("bronze.flights", `SELECT _plan, count(*) FROM t GROUP BY 1 ORDER BY 1`, "2|1", "3|1")
}

// forget deletes the control folder.
func (l *lake) forget() {
	l.t.Helper()
	for info, err := range l.warehouse.List(l.t.Context(), "_lake/", "") {
		if err != nil {
			l.t.Fatal(err)
		}
		if err := l.warehouse.Delete(l.t.Context(), info.Key); err != nil {
			l.t.Fatal(err)
		}
	}
}

// restless is a landing folder whose file changes between plan and read, once.
type restless struct {
	objectstore.Store
	key, text string
}

func (s *restless) Get(ctx context.Context, key string, r objectstore.Range) (io.ReadCloser, objectstore.Info, error) {
	if text := s.text; key == s.key && text != "" {
		s.text = ""
		if _, err := s.Put(ctx, key, objectstore.Bytes([]byte(text)), objectstore.Condition{}); err != nil {
			return nil, objectstore.Info{}, err
		}
	}
	return s.Store.Get(ctx, key, r)
}

func TestFileChangesInFlight(t *testing.T) {
	l := newLake(t, map[string]string{"bronze/flights.ingest.yml": flightsIngest})
	l.land("dt=2001-02-01/a.csv", oneRow)
	l.land("dt=2001-02-02/b.csv", oneRow)
	l.landing = &restless{Store: l.landing, key: "dt=2001-02-02/b.csv", text: oneRow + "2001-02-01 07:00:00,6,LAX\n"}
	rep := l.run("bronze.flights superseded", "bronze.flights ok +3 ~0 -0")
	if rep.ExitCode() != 0 {
		t.Errorf("exit code %d", rep.ExitCode())
	}
	l.want("bronze.flights", "SELECT _plan, count(*) FROM t GROUP BY 1", "2|3")
	if err := l.landing.Delete(t.Context(), "dt=2001-02-01/a.csv"); err != nil {
		t.Fatal(err)
	}
	if rep := l.run("bronze.flights nothing"); len(rep.Tasks[0].Notes) != 1 || rep.Tasks[0].Notes[0] != "landing files that are gone (their rows stay): 1" {
		t.Errorf("notes are %q", rep.Tasks[0].Notes)
	}
	l.want("bronze.flights", "SELECT count(*) FROM t", "3")
}

// TestSeenIsWrittenDown loads files that leave no row, one plan each: only the plans know them. Walks over many plans
// are cut short, and a damaged short cut costs nothing but time.
func TestSeenIsWrittenDown(t *testing.T) {
	l := newLake(t, map[string]string{"bronze/t.ingest.yml": "source: {path: \"file:///landing\", format: csv, min_age: 0s}\nbatch: {max_files: 1}\nschema:\n  columns: {n: bigint}\n  contract: {columns: rescue}\n"})
	l.land("00.csv", "n\n1\n")
	for i := range 17 {
		l.land(fmt.Sprintf("%02d.csv", i+1), "n\n")
	}
	if rep, err := l.try(l.warehouse); err != nil || rep.ExitCode() != 0 || len(rep.Tasks) != 18 {
		t.Fatalf("%v %+v", err, rep)
	}
	var cached []string
	for info, err := range l.warehouse.List(t.Context(), "_lake/plans/bronze.t/seen-", "") {
		if err != nil {
			t.Fatal(err)
		}
		cached = append(cached, info.Key)
	}
	if len(cached) == 0 || !strings.HasPrefix(cached[0], "_lake/plans/bronze.t/seen-000000000000000000") {
		t.Fatalf("written down: %q", cached)
	}
	l.run("bronze.t nothing")
	if _, err := l.warehouse.Put(t.Context(), cached[0], objectstore.Bytes([]byte("damaged")), objectstore.Condition{}); err != nil {
		t.Fatal(err)
	}
	l.run("bronze.t nothing")
	l.want("bronze.t", "SELECT count(*) FROM t", "1")
}
