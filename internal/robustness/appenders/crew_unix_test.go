//go:build unix

package appenders_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/lakectl/lakectl/internal/robustness/appenders"
	"github.com/lakectl/lakectl/internal/robustness/history"
	"github.com/lakectl/lakectl/internal/robustness/ledger"
	"github.com/lakectl/lakectl/internal/robustness/logops"
)

// process is one of the run.
type process struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	told *bytes.Buffer
}

// start runs this test binary again, with an order.
func (r *run) start(o order) *process {
	r.Helper()
	self, err := os.Executable()
	if err != nil {
		r.Fatal(err)
	}
	text, err := json.Marshal(o)
	if err != nil {
		r.Fatal(err)
	}
	p := &process{cmd: exec.Command(self), told: &bytes.Buffer{}}
	p.cmd.Env = append(os.Environ(), r.server.Environ()...)
	p.cmd.Env = append(p.cmd.Env, orderVariable+"="+string(text), "GOMAXPROCS=1")
	p.cmd.Stderr = p.told
	out, err := p.cmd.StdoutPipe()
	if err == nil {
		p.in, err = p.cmd.StdinPipe()
	}
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		r.Fatal(err)
	}
	p.out = bufio.NewReader(out)
	r.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			_ = p.cmd.Process.Kill()
			_ = p.cmd.Wait()
		}
	})
	return p
}

// total is what the processes of one phase did together.
type total struct {
	took    time.Duration
	tallies []appenders.Tally
}

func (a total) add(b total) total {
	return total{a.took + b.took, slices.Concat(a.tallies, b.tallies)}
}

func (a total) won() (n int) {
	for _, t := range a.tallies {
		n += t.Won
	}
	return n
}

// rate is in commits or keys per second.
func (a total) rate() float64 { return float64(a.won()) / a.took.Seconds() }

// String is one line for people.
func (a total) String() string {
	var attempts, warnings int
	var cpu time.Duration
	var waits []time.Duration
	least, most := a.tallies[0].Won, 0
	for _, t := range a.tallies {
		attempts += t.Attempts
		warnings += t.Warnings
		cpu += t.CPU
		waits = append(waits, t.Latencies...)
		least, most = min(least, t.Won), max(most, t.Won)
	}
	slices.Sort(waits)
	at := func(percent int) time.Duration {
		if len(waits) == 0 {
			return 0
		}
		return waits[min(len(waits)-1, len(waits)*percent/100)].Round(time.Millisecond / 10)
	}
	n := max(1, a.won())
	return fmt.Sprintf("%6.1f/s (%d in %.1f s; %.1f attempts each; %d to %d a process; median %s, 99 %% within %s; %.1f ms CPU of the clients each; %d warnings)",
		a.rate(), a.won(), a.took.Seconds(), float64(attempts)/float64(n), least, most, at(50), at(99), cpu.Seconds()*1000/float64(n), warnings)
}

// judge compares what the processes were told with the log that is left.
func (r *run) judge(check *ledger.Check) {
	r.Helper()
	log, err := history.ReadLog(r.Context(), r.direct, logops.Path)
	if err != nil {
		r.Fatal(err)
	}
	var events []history.Event
	files, err := filepath.Glob(filepath.Join(r.dir, "*"))
	if err != nil {
		r.Fatal(err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			r.Fatal(err)
		}
		more, err := history.Parse(bytes.NewReader(b))
		if err != nil {
			r.Fatal(err)
		}
		events = append(events, more...)
	}
	found, counts := history.Check(events, log, 0)
	for _, v := range found {
		r.Error(v)
	}
	check.Count, check.Failed = counts.Committed, len(found)
	r.Logf("%d versions, %+v", len(log), counts)

	s, err := logops.Open(r.direct, 1).Latest(r.Context())
	if err != nil {
		r.Fatal(err)
	}
	once := map[string]bool{}
	for i := range s.Files().Len() {
		once[s.Files().Path(i)] = true
	}
	// Version 0 made the table, every other one brought one file.
	if n := int(s.Version()); n != len(log)-1 || s.Files().Len() != n || len(once) != n {
		r.Errorf("%d versions, the newest is %d with %d files of %d names", len(log), s.Version(), s.Files().Len(), len(once))
	}
}
