package mutants_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lakectl/lakectl/internal/mutant"
	"github.com/lakectl/lakectl/internal/robustness/ledger"
	"github.com/lakectl/lakectl/internal/robustness/mutants"
)

// TestR16 plants bugs, one at a time, and demands that the named checks notice them and nothing else. It needs a
// minute; the short form takes those that need no server and no engine.
func TestR16(t *testing.T) {
	all := chosen()
	check := ledger.Open(t, "R16", ledger.At(18, 19, 31))
	p := &plantation{T: t, root: root(t), bin: t.TempDir(), sound: map[string]func() error{}}
	p.build(all)
	var mu sync.Mutex
	t.Run("bugs", func(t *testing.T) {
		for _, m := range all {
			t.Run(strings.TrimPrefix(string(m.Bug), "mutant:")+" by "+m.Check, func(t *testing.T) {
				t.Parallel()
				took, err := p.try(t.Context(), m)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					check.Failed++
					t.Errorf("%v\nrepeat: %s", err, p.repeat(m))
					return
				}
				check.Count++
				t.Logf("caught in %.1f s of %v", took.Seconds(), m.Budget)
			})
		}
	})
}

// chosen are the rows of this scale.
func chosen() []mutants.Planted {
	var out []mutants.Planted
	for _, m := range mutants.All() {
		if m.Slow && ledger.Size() != ledger.Long || m.Check == "R6" && ledger.Size() == ledger.Short {
			continue
		}
		out = append(out, m)
	}
	return out
}

// patience is how long a check may take by the clock. Its budget is measured in time of a processor, so that a busy
// machine makes no check weaker.
const patience = 10 * time.Minute

// plantation has the tests in which bugs can be planted.
type plantation struct {
	*testing.T
	root, bin string

	mu    sync.Mutex // guards sound; a leaf lock
	sound map[string]func() error
}

// build compiles the tests with the tag, once for all bugs.
func (p *plantation) build(all []mutants.Planted) {
	p.Helper()
	args, seen := []string{"test", "-c", "-tags", "mutants", "-o", p.bin + "/"}, map[string]bool{}
	for _, m := range all {
		if !seen[m.Package] {
			seen[m.Package] = true
			args = append(args, "./"+m.Package)
		}
	}
	cmd := exec.CommandContext(p.Context(), "go", args...)
	cmd.Dir = p.root
	if out, err := cmd.CombinedOutput(); err != nil {
		p.Fatalf("compile with planted bugs: %v\n%s", err, out)
	}
}

// try runs the check of a bug without the bug, where nobody has yet, and with it.
func (p *plantation) try(ctx context.Context, m mutants.Planted) (time.Duration, error) {
	if err := p.passes(ctx, m); err != nil {
		return 0, err
	}
	began := time.Now()
	out, code, err := p.run(ctx, m, m.Bug)
	if err != nil {
		return 0, err
	}
	return time.Since(began), caught(m, out, code)
}

// passes demands that the same binary passes where nothing is planted. Each check is run once.
func (p *plantation) passes(ctx context.Context, m mutants.Planted) error {
	p.mu.Lock()
	key := m.Package + " " + m.Run + " " + m.Sized
	if p.sound[key] == nil {
		p.sound[key] = sync.OnceValue(func() error {
			out, code, err := p.run(ctx, m, "")
			if err == nil && (code != 0 || !bytes.Contains(out, []byte("--- PASS: "))) {
				err = fmt.Errorf("without a bug it ends with %d:\n%s", code, tail(out))
			}
			return err
		})
	}
	once := p.sound[key]
	p.mu.Unlock()
	return once()
}

// run runs one check with one bug. Its counts are nobody's.
func (p *plantation) run(ctx context.Context, m mutants.Planted, bug mutant.Name) (out []byte, code int, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(p.bin, path.Base(m.Package)+".test"), "-test.run", m.Run, "-test.v")
	cmd.Dir = filepath.Join(p.root, filepath.FromSlash(m.Package))
	cmd.WaitDelay = 10 * time.Second
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "LAKE_") || strings.HasPrefix(v, "LAKE_MINIO") || strings.HasPrefix(v, "LAKE_CACHE") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, mutant.Variable+"="+string(bug))
	if m.Sized != "" {
		cmd.Env = append(cmd.Env, m.Sized)
	}
	out, err = cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return out, -1, fmt.Errorf("it did not end within %v:\n%s", patience, tail(out))
	case err != nil && !errors.As(err, &exit):
		return out, -1, fmt.Errorf("run the check: %w", err)
	}
	if used := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(); used > m.Budget {
		return out, -1, fmt.Errorf("it took %v of a processor, more than its budget of %v:\n%s", used, m.Budget, tail(out))
	}
	return out, cmd.ProcessState.ExitCode(), nil
}

// caught tells whether a check has noticed the bug: a test failed and says what the bug does. A panic, a time-out and
// a test that is not there notice nothing.
func caught(m mutants.Planted, out []byte, code int) error {
	switch {
	case code == 0:
		return fmt.Errorf("%s passes with the bug:\n%s", m.Check, tail(out))
	case code != 1 || !bytes.Contains(out, []byte("--- FAIL: ")) || bytes.Contains(out, []byte("panic: ")):
		return fmt.Errorf("%s did not fail, it broke (%d):\n%s", m.Check, code, tail(out))
	case !regexp.MustCompile(m.Says).Match(out):
		return fmt.Errorf("%s fails for another reason than %q:\n%s", m.Check, m.Says, tail(out))
	}
	return nil
}

// tail is the end of what a check has printed.
func tail(out []byte) []byte {
	const most = 2000
	return out[max(0, len(out)-most):]
}

// repeat is what a person types.
func (p *plantation) repeat(m mutants.Planted) string {
	return strings.TrimSpace(fmt.Sprintf("%s %s=%s go test -tags mutants ./%s -run '%s'", m.Sized, mutant.Variable, m.Bug, m.Package, m.Run))
}

func root(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// A judge is worth what it refuses.
func TestOnlyAFittingFailureCounts(t *testing.T) {
	m := mutants.Planted{Check: "R2", Says: `was refused, and version \d+ has it`}
	fits := "--- FAIL: TestR2Pairs (0.01s)\n    x_test.go:1: b was refused, and version 3 has it\nFAIL\n"
	for _, c := range []struct {
		name, out string
		code      int
		want      bool
	}{
		{"the failure fits", fits, 1, true},
		{"it passes", "--- PASS: TestR2Pairs\nPASS\n", 0, false},
		{"it says so and passes", strings.ReplaceAll(fits, "FAIL", "PASS"), 0, false},
		{"another failure", "--- FAIL: TestR2Pairs (0.01s)\n    x_test.go:1: disk full\nFAIL\n", 1, false},
		{"a panic", fits + "panic: runtime error\n", 2, false},
		{"a time-out", fits + "panic: test timed out after 10m0s\n", 2, false},
		{"it could not begin", "cannot start the server\n", 1, false},
		{"it was killed", fits, -1, false},
	} {
		if err := caught(m, []byte(c.out), c.code); (err == nil) != c.want {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
