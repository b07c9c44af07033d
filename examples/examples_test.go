package examples

import (
	"bytes"
	"compress/gzip"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/lakectl/lakectl/engine/duckdb"
	"github.com/lakectl/lakectl/pipeline"
)

// A project that a new user meets first must be right in every key, and its graph what the README says.
func TestFlightsIsAValidProject(t *testing.T) {
	flights, err := fs.Sub(FS, "flights")
	if err != nil {
		t.Fatal(err)
	}
	engine, err := duckdb.Open(duckdb.Options{MemoryBytes: 256 << 20, Threads: 1, TempDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = engine.Close() }()
	for _, env := range []string{"dev", "minio"} {
		project, err := pipeline.Load(t.Context(), flights, pipeline.LoadOptions{
			Dir: t.TempDir(), Env: env, User: "someone", Parser: engine,
			Getenv: func(name string) string {
				if name == "LAKE_S3_ENDPOINT" && env == "minio" {
					return "http://127.0.0.1:9000"
				}
				return ""
			},
		})
		if err != nil {
			t.Fatalf("environment %s:\n%v", env, err)
		}
		want := map[string][]string{
			"bronze.flights": nil, "bronze.airports": nil, "silver.flights": {"bronze.flights"},
			"gold.daily_delay": {"bronze.airports", "silver.flights"}, "gold.route_ranking": {"silver.flights"},
		}
		if len(project.Models) != len(want) {
			t.Errorf("%d models, want %d", len(project.Models), len(want))
		}
		for _, m := range project.Models {
			if upstream, ok := want[m.Name]; !ok || !slices.Equal(m.Upstream, upstream) {
				t.Errorf("%s reads %v, want %v", m.Name, m.Upstream, upstream)
			}
		}
	}
}

// The numbers of the README, counted in the files.
func TestFlightsHasTheLinesThatItsReadmeCounts(t *testing.T) {
	lines := map[string]int{}
	for _, folder := range []string{"landing", "late"} {
		files, err := fs.Glob(FS, "flights/"+folder+"/flights/dt=*/part-0.csv.gz")
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v, %v", folder, files, err)
		}
		for _, name := range files {
			text := unpack(t, name)
			lines[folder] += strings.Count(text, "\n") - 1
			day := strings.TrimPrefix(path.Base(path.Dir(name)), "dt=")
			for line := range strings.Lines(text) {
				if !strings.HasPrefix(line, day) && !strings.HasPrefix(line, "date,") {
					t.Fatalf("%s has the line %q", name, line)
				}
			}
		}
	}
	if lines["landing"] != 212_773 || lines["late"] != 16_909 {
		t.Errorf("got %v", lines)
	}
}

func unpack(t *testing.T, name string) string {
	t.Helper()
	packed, err := fs.ReadFile(FS, name)
	if err != nil {
		t.Fatal(err)
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return string(text)
}
