package kill

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lakectl/lakectl/deploy/minio/miniotest"
	"github.com/lakectl/lakectl/examples"
)

// What may differ between two runs of the same plans: when, and by which run.
func whenColumns(table string) []string {
	switch {
	case strings.HasSuffix(table, "__quarantine"):
		return []string{"_plan", "_run"}
	case strings.HasPrefix(table, "bronze."):
		return []string{"_plan", "_ingested_at", "_file_modified"}
	}
	return nil
}

// TestKilledRunsEqualACleanRun runs the flights example on MinIO, kills `lakectl run` with -9 at random moments, runs
// it again, and compares: first with thirteen days, then with the day that came late.
//
// LAKE_KILL_RUNS is the number of kills (10), LAKE_KILL_SEED repeats the moments of another test.
func TestKilledRunsEqualACleanRun(t *testing.T) {
	server := miniotest.Start(t)
	build(t)
	kills := int(number(t, "LAKE_KILL_RUNS", 10))
	seed := number(t, "LAKE_KILL_SEED", uint64(time.Now().UnixNano()))
	t.Logf("seed %d; repeat with: LAKE_KILL_SEED=%d LAKE_KILL_RUNS=%d go test -count=1 -run %s ./tests/kill", seed, seed, kills, t.Name())
	random := rand.New(rand.NewPCG(seed, 0))

	bucket := server.Bucket(t)
	flights, err := fs.Sub(examples.FS, "flights")
	if err != nil {
		t.Fatal(err)
	}
	landing := server.Open(t, "s3://"+bucket+"/landing")
	arrived := func(folder string) {
		from, err := fs.Sub(flights, folder)
		if err != nil {
			t.Fatal(err)
		}
		upload(t, landing, from, "")
	}
	newLake := func(name string) *lake {
		l := &lake{dir: t.TempDir(), warehouse: "s3://" + bucket + "/" + name, env: environment(server)}
		pipelines, err := fs.Sub(flights, "pipelines")
		if err != nil {
			t.Fatal(err)
		}
		copyTree(t, pipelines, filepath.Join(l.dir, "pipelines"))
		text := fmt.Sprintf(`version: 1
project: flights
vars: {landing: {type: string}}
environments:
  test: {warehouse: %q, vars: {landing: "s3://%s/landing"}}
storage: {endpoint: "${env:LAKE_S3_ENDPOINT}", region: us-east-1, path_style: true}
engines: {duckdb: {memory: 1GB, threads: 2}}
`, l.warehouse, bucket)
		if err := os.WriteFile(filepath.Join(l.dir, "lake.yml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return l
	}

	// Every lake lives through both phases, and is killed at least once in each.
	clean, hits := newLake("clean"), 0
	var lakes []*lake
	for i := range max((kills+1)/2, 1) {
		lakes = append(lakes, newLake(fmt.Sprintf("lake-%d", i)))
	}
	for _, phase := range []struct {
		folder, asOf string
		flights      int64
	}{
		{"landing", "2001-03-01T08:00:00Z", 212_761},
		{"late", "2001-03-02T08:00:00Z", 229_669},
	} {
		arrived(phase.folder)
		args := []string{"run", "flights", "--as-of", phase.asOf}
		began := time.Now()
		clean.run(t, args...)
		usual := time.Since(began)
		t.Logf("%s: a clean run takes %v", phase.folder, usual)
		if n := clean.numbers(t, "SELECT count(*), count(DISTINCT (flight_at, origin, destination, delay_min)) FROM silver.flights"); n[0] != phase.flights || n[1] != n[0] {
			t.Fatalf("the clean run itself has %v flights, want %d", n, phase.flights)
		}
		for i, l := range lakes {
			t.Run(fmt.Sprintf("%s/%d", phase.folder, i), func(t *testing.T) {
				within := usual
				for left := 1 + random.IntN(2); left > 0; {
					after := time.Duration(random.Int64N(int64(within)))
					if l.killed(t, after, args...) {
						within = max(within/2, 50*time.Millisecond) // the machine is faster than it was: a run is still killed
						continue
					}
					plans, commits := l.progress(t, server.Open(t, l.warehouse))
					t.Logf("killed after %v, with %d plans and %d commits", after, plans, commits)
					left--
					hits++
				}
				l.run(t, args...)
				l.compare(t, clean, tables, whenColumns)
				l.fsck(t, tables...)
				again := l.run(t, args...)
				for _, table := range tables {
					if !strings.HasPrefix(table, "gold.") && strings.Contains(again, "✓ "+table+" ") {
						t.Errorf("a run after the last one found something to do:\n%s", again)
					}
				}
			})
		}
	}
	if t.Logf("%d kills", hits); hits < kills && !t.Failed() {
		t.Errorf("%d runs were killed, want at least %d", hits, kills)
	}
}

// tables of the flights example.
var tables = []string{
	"bronze.airports", "bronze.flights", "bronze.flights__quarantine", "silver.flights", "silver.flights__quarantine",
	"gold.daily_delay", "gold.route_ranking",
}
