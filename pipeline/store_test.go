package pipeline_test

import (
	"context"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lakectl/lakectl/deploy/minio/miniotest"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/objectstore/mem"
)

func TestMain(m *testing.M) { os.Exit(miniotest.Main(m)) }

// TestStores runs the same lake on a folder, in memory and on MinIO, landing folder included, with one kill in the
// middle: the tables are the same.
func TestStores(t *testing.T) {
	open := map[string]func(t *testing.T) objectstore.Store{
		"mem": func(*testing.T) objectstore.Store { return mem.New("lake") },
		"minio": func(t *testing.T) objectstore.Store {
			t.Helper()
			return miniotest.Start(t).Store(t)
		},
	}
	calm := sweepLake(t)
	calm.run("bronze.flights ok +5 ~0 -0 quarantine 1", "silver.flights warned +3 ~0 -0 superseded 1 quarantine 1", "gold.delay ok +2 ~0 -0")
	calm.sweepChange()
	if rep, err := calm.try(calm.warehouse); err != nil || rep.ExitCode() != 0 {
		t.Fatalf("%v %+v", err, rep)
	}
	want := calm.everything(calm.warehouse)
	for name, store := range open {
		t.Run(name, func(t *testing.T) {
			l := flights(t)
			l.warehouse, l.landing = store(t), store(t)
			l.fillSweep()
			l.run("bronze.flights ok +5 ~0 -0 quarantine 1", "silver.flights warned +3 ~0 -0 superseded 1 quarantine 1", "gold.delay ok +2 ~0 -0")
			l.sweepChange()
			ctx, kill := context.WithCancel(t.Context())
			if _, err := l.tryWith(ctx, &mortal{Store: l.warehouse, left: 9, after: true, kill: kill}); err != nil {
				t.Fatal(err)
			}
			kill()
			if rep, err := l.try(l.warehouse); err != nil || rep.ExitCode() != 0 {
				t.Fatalf("%v %+v", err, rep)
			}
			if diff := cmp.Diff(want, l.everything(l.warehouse)); diff != "" {
				t.Errorf("tables differ from those in a folder (-want +got):\n%s", diff)
			}
			l.sound()
		})
	}
}
