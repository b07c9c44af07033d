package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/lakectl/lakectl/internal/robustness/ledger"
)

// build compiles the tests of each package once, so that their seconds are theirs: `go test` would link them again for
// each check. Fuzz targets are compiled once more, with counters in every branch. end removes what it made.
func (p *programme) build(ctx context.Context) (end func(), err error) {
	if p.bin, err = os.MkdirTemp("", "reliability-"); err != nil {
		return nil, fmt.Errorf("make a folder for the tests: %w", err)
	}
	end = func() { _ = os.RemoveAll(p.bin) } // of the temporary folder: what stays is no harm
	made := map[string]bool{}
	for _, c := range p.checks {
		to := p.binary(c)
		if made[to] {
			continue
		}
		made[to] = true
		args := []string{"test", "-c", "-o", to}
		if c.fuzz != "" {
			args = append(args, "-fuzz", ".")
		}
		cmd := exec.CommandContext(ctx, "go", append(args, c.pkg)...)
		cmd.Dir = p.root
		if b, err := cmd.CombinedOutput(); err != nil {
			end()
			return nil, fmt.Errorf("compile the tests: %w\n%s", err, b)
		}
	}
	return end, nil
}

// binary is the compiled test of a check.
func (p *programme) binary(c check) string {
	name := strings.ReplaceAll(strings.TrimPrefix(c.pkg, "./"), "/", "_")
	if c.fuzz != "" {
		name += ".fuzz"
	}
	return filepath.Join(p.bin, name+".test")
}

// found is where fuzzing keeps inputs that reach new code. The long run begins with those of its slices before; others
// begin anew, so that their seconds do not depend on what was found since the machine was set up.
func (p *programme) found() string {
	if p.scale == ledger.Long {
		return filepath.Join(p.logs, "fuzz")
	}
	return filepath.Join(p.bin, "fuzz")
}
