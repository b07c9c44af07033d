package main

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/lakectl/lakectl/internal/clock"
)

func TestScratchOfDeadProcessesIsSwept(t *testing.T) {
	base := t.TempDir()
	env := func(name string) string { return map[string]string{"LAKE_TEMP_DIR": base}[name] }
	alive := newApp(nil, io.Discard, io.Discard, env, clock.System(), clock.SystemRand())
	kept, err := alive.scratchDir()
	if err != nil {
		t.Fatal(err)
	}
	// A process that died: its folder is there, nobody holds the lock.
	dead := filepath.Join(base, scratchPrefix+"dead")
	if err := os.MkdirAll(filepath.Join(dead, "spill"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dead, scratchLock), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	// A process that has not locked its folder yet.
	young := filepath.Join(base, scratchPrefix+"young")
	if err := os.Mkdir(young, 0o700); err != nil {
		t.Fatal(err)
	}
	next := newApp(nil, io.Discard, io.Discard, env, clock.System(), clock.SystemRand())
	if _, err := next.scratchDir(); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{kept: true, young: true, dead: false} {
		if _, err := os.Stat(path); (err == nil) != want {
			t.Errorf("%s: there %v, want %v", path, err == nil, want)
		}
	}
	if err := alive.wiring.close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(kept); err == nil {
		t.Errorf("%s is still there after the end of its process", kept)
	}
	if err := next.wiring.close(); err != nil {
		t.Fatal(err)
	}
}
