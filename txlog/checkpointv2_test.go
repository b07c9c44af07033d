package txlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lakectl/lakectl/internal/limits"
	"github.com/lakectl/lakectl/internal/parquetio"
	"github.com/lakectl/lakectl/objectstore"
)

// v2Table is the busy table with policy v2.
func v2Table(t *testing.T, l *Log, c interface{ Now() time.Time }) *Snapshot {
	t.Helper()
	s := busyTable(t, l, c)
	m := *s.metadata
	m.Configuration = map[string]string{"delta.checkpointPolicy": "v2", "delta.checkpointInterval": "1000"}
	p, err := Design{Schema: s.schema, PartitionBy: m.PartitionColumns, Properties: m.Configuration}.Upgrade(s.protocol)
	if err != nil {
		t.Fatal(err)
	}
	x := l.Begin(s, Operation{Name: "SET TBLPROPERTIES"})
	x.Stage(p, &m)
	mustCommit(t, x)
	return latest(t, l)
}

// openParquet opens an object of the log.
func openParquet(t *testing.T, l *Log, name string) *parquetio.File {
	t.Helper()
	b, _, err := l.readObject(t.Context(), l.Key(logFolder+name), "checkpoint_bytes")
	if err != nil {
		t.Fatal(err)
	}
	f, err := parquetio.Open(bytes.NewReader(b), int64(len(b)), limits.Default())
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func isUUIDCheckpoint(name string) bool {
	return strings.Contains(name, ".checkpoint.") && !strings.HasSuffix(name, ".checkpoint.parquet")
}

// TestV2CheckpointIsWritten: sidecars of bounded size, an object with a unique name that names them, a hint that says
// which, and a copy under the classic name at first. Either name alone gives the same table.
func TestV2CheckpointIsWritten(t *testing.T) {
	l, c := testLog(t)
	s := v2Table(t, l, c)
	w, h := newCheckpointWriter(s), hintOf{version: s.version, files: 3}
	w.sidecarMost = 2
	if err := w.writeV2(t.Context(), &h); err != nil {
		t.Fatal(err)
	}
	if err := l.writeHint(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	var sidecars, unique []string
	for _, name := range logNames(t, l) {
		switch {
		case strings.HasPrefix(name, "_sidecars/"):
			sidecars = append(sidecars, name)
			if f := openParquet(t, l, name); f.Rows() > 2 || f.Lookup("protocol") != nil || f.Lookup("sidecar") != nil {
				t.Errorf("sidecar %s has %d rows", name, f.Rows())
			}
		case isUUIDCheckpoint(name):
			unique = append(unique, name)
		}
	}
	// Three files and two tombstones, in twos; metadata, protocol, version, two transactions, a domain, and the sidecars.
	if len(sidecars) != 3 || len(unique) != 1 || h.rows != 5+6+3 {
		t.Fatalf("sidecars %v, checkpoints %v, %d rows", sidecars, unique, h.rows)
	}
	hint, _, err := l.readObject(t.Context(), l.hintKey(), "hint_bytes")
	if err != nil || !strings.Contains(string(hint), `"v2Checkpoint":{"path":"`+unique[0]+`"`) || strings.Count(string(hint), ".parquet") != 4 {
		t.Errorf("hint %s, %v", hint, err)
	}
	if _, err := decodeHint(hint); err != nil {
		t.Error(err)
	}
	forget(t, l, s.version-1)
	sameState(t, s, latest(t, l))
	if err := l.store.Delete(t.Context(), l.Key(logFolder+unique[0])); err != nil {
		t.Fatal(err)
	}
	sameState(t, s, latest(t, l)) // by the classic name
}

// TestV2CheckpointCopiesOnce: a table that has a checkpoint gets no further copy under the classic name.
func TestV2CheckpointCopiesOnce(t *testing.T) {
	l, c := testLog(t)
	s := v2Table(t, l, c)
	if err := l.Checkpoint(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	x := l.Begin(s, Operation{Name: "WRITE", BlindAppend: true})
	x.Stage(&Add{Path: "later.parquet", PartitionValues: map[string]string{"part": "x"}, Size: 1, DataChange: true})
	mustCommit(t, x)
	s = latest(t, l)
	if err := l.Checkpoint(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	names := logNames(t, l)
	for v, want := range map[Version]bool{s.version - 1: true, s.version: false} {
		if got := slices.Contains(names, fmt.Sprintf("%020d.checkpoint.parquet", v)); got != want {
			t.Errorf("version %d has a classic name: %t", v, got)
		}
	}
	forget(t, l, s.version)
	sameState(t, s, latest(t, l))
}

// TestCleanUpKeepsAClassicName: where the log begins, old clients find a protocol that they refuse, whatever form the
// checkpoint has. Sidecars go with the checkpoints that name them.
func TestCleanUpKeepsAClassicName(t *testing.T) {
	for _, form := range []string{"parquet", "json"} {
		t.Run(form, func(t *testing.T) {
			l, _ := agedLog(t, map[string]string{
				"delta.checkpointPolicy": "v2", "delta.logRetentionDuration": "interval 5 days", "delta.enableExpiredLogCleanup": "false",
			}, 30)
			want, err := l.At(t.Context(), 20)
			if err != nil {
				t.Fatal(err)
			}
			if form == "json" {
				for _, name := range logNames(t, l) {
					if isUUIDCheckpoint(name) && strings.HasPrefix(name, fmt.Sprintf("%020d", 20)) {
						if err := l.store.Delete(t.Context(), l.Key(logFolder+name)); err != nil {
							t.Fatal(err)
						}
					}
				}
				v2Checkpoint(t, l, want, "one%20two.parquet")
			}
			before := logNames(t, l)
			if slices.Contains(before, fmt.Sprintf("%020d.checkpoint.parquet", 20)) {
				t.Fatal("it has a classic name already")
			}
			s := latest(t, l)
			s.metadata.Configuration["delta.enableExpiredLogCleanup"] = "true"
			if done, err := l.CleanUp(t.Context(), s); err != nil || done.Start != 20 {
				t.Fatalf("%+v, %v", done, err)
			}
			names := logNames(t, l)
			if !slices.Contains(names, fmt.Sprintf("%020d.checkpoint.parquet", 20)) {
				t.Fatalf("no classic name: %v", names)
			}
			for _, name := range names {
				if isUUIDCheckpoint(name) && strings.HasPrefix(name, fmt.Sprintf("%020d", 20)) {
					if err := l.store.Delete(t.Context(), l.Key(logFolder+name)); err != nil {
						t.Fatal(err)
					}
				}
			}
			got, err := l.At(t.Context(), 20)
			if err != nil {
				t.Fatal(err)
			}
			sameState(t, want, got)
			sidecars := func(names []string) (n int) {
				for _, name := range names {
					if strings.HasPrefix(name, "_sidecars/") {
						n++
					}
				}
				return n
			}
			if from, to := sidecars(before), sidecars(names); to >= from || to < 2 {
				t.Errorf("%d sidecars before, %d after", from, to)
			}
			if now := latest(t, l); now.Version() != 30 || now.Files().Len() != 30 {
				t.Errorf("version %d with %d files", now.Version(), now.Files().Len())
			}
		})
	}
}

// TestV2CheckpointMayDieAnywhere: whichever PUT is the last one, and whether its reply is lost or it never was, the table
// reads the same, and the next attempt works.
func TestV2CheckpointMayDieAnywhere(t *testing.T) {
	for _, landed := range []bool{false, true} {
		for k := 0; ; k++ {
			l, c := testLog(t)
			s := v2Table(t, l, c)
			store := &dyingPut{Store: l.store, left: k, landed: landed}
			dying := New(store, l.root, l.options)
			own, err := dying.Latest(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			w, h := newCheckpointWriter(own), hintOf{version: s.version}
			w.sidecarMost = 2
			if err = w.writeV2(t.Context(), &h); err == nil {
				err = dying.writeHint(t.Context(), h)
			}
			sameState(t, s, latest(t, l))
			if store.left >= 0 {
				if err != nil {
					t.Fatal(err)
				}
				if k < 6 {
					t.Errorf("%d PUTs", k)
				}
				break
			}
			if err := l.Checkpoint(t.Context(), s); err != nil {
				t.Fatalf("put %d: again: %v", k, err)
			}
			forget(t, l, s.version)
			sameState(t, s, latest(t, l))
		}
	}
}

// dyingPut fails one PUT and all that follow.
type dyingPut struct {
	objectstore.Store
	left   int
	landed bool // the first of them has its effect
}

var errDied = errors.New("connection reset")

func (d *dyingPut) Put(ctx context.Context, key string, body objectstore.Body, c objectstore.Condition) (objectstore.Info, error) {
	d.left--
	if d.left >= 0 {
		return d.Store.Put(ctx, key, body, c)
	}
	if d.left == -1 && d.landed {
		if _, err := d.Store.Put(ctx, key, body, c); err != nil {
			return objectstore.Info{}, err
		}
	}
	return objectstore.Info{}, errDied
}
