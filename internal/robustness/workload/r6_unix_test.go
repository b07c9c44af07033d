//go:build unix

package workload_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lakectl/lakectl/deploy/minio/miniotest"
	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/internal/robustness/faultproxy"
	"github.com/lakectl/lakectl/internal/robustness/history"
	"github.com/lakectl/lakectl/internal/robustness/ledger"
	"github.com/lakectl/lakectl/internal/robustness/logops"
	"github.com/lakectl/lakectl/internal/robustness/workload"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/objectstore/s3"
)

const roleVariable = "LAKE_R6_ROLE"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		if err := work(role); err != nil {
			fmt.Fprintln(os.Stderr, role, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(miniotest.Main(m))
}

// work is the main function of a process of R6. It ends when its standard input does.
func work(role string) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	seed, err := strconv.ParseUint(os.Getenv("LAKE_R6_SEED"), 10, 64)
	if err != nil {
		return err
	}
	name := os.Getenv("LAKE_R6_NAME")
	h, err := history.Create(filepath.Join(os.Getenv("LAKE_R6_DIR"), name), name)
	if err != nil {
		return err
	}
	store, err := s3.Open(ctx, os.Getenv("LAKE_R6_STORE"), s3.Options{PathStyle: true, StallTimeout: 3 * time.Second})
	if ctx.Err() != nil {
		return nil // born when all was over
	}
	if err != nil {
		return err
	}
	rand := clock.SeededRand(seed)
	w := &workload.Worker{
		Name: name, Slot: os.Getenv("LAKE_R6_SLOT"), History: h, Rand: rand,
		Store:  objectstore.Retry(store, objectstore.Policy{Base: 20 * time.Millisecond, Cap: time.Second}, clock.System(), rand),
		Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	}
	if role == "read" {
		return w.Read(ctx)
	}
	return w.Write(ctx)
}

// plan says how hard a run is.
type plan struct {
	writers, readers int
	lasts            time.Duration
	commits, kills   int // floors
	firings          int // floor of each kind of fault
	seed             uint64
}

// TestR6 lets processes write and read one table on a real MinIO through a network that loses, delays, doubles and cuts
// requests, kills and stops them, and compares what they were told with the log that is left.
func TestR6(t *testing.T) {
	p := plan{writers: 3, readers: 1, lasts: 6 * time.Second, commits: 20, kills: 1, firings: 1, seed: 1}
	if ledger.Size() != ledger.Short {
		p = plan{writers: 8, readers: 4, lasts: 45 * time.Second, commits: 300, kills: 20, firings: 10, seed: uint64(time.Now().UnixNano())}
	}
	if text := os.Getenv("LAKE_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		p.seed = seed
	}
	t.Logf("seed %d; repeat with LAKE_SEED=%d (processes are not deterministic)", p.seed, p.seed)
	r := newRun(t, p)
	r.create()
	check := ledger.Open(t, "R6", p.commits)
	check.Seed, check.Adds = p.seed, true
	r.storm()
	r.quiet()
	r.judge(check)
}

// faults spoil mostly what decides: the conditional PUT of a commit.
func faults() []faultproxy.Rule {
	commits, reads := `/_delta_log/[0-9]+\.json$`, `/_delta_log/`
	rule := func(method, key string, a faultproxy.Action, chance float64, status int, delay time.Duration) faultproxy.Rule {
		return faultproxy.Rule{Name: fmt.Sprint(method, " ", a, status), Method: method, Key: key, Probability: chance, Action: a, Status: status, Delay: delay}
	}
	return []faultproxy.Rule{
		rule("PUT", commits, faultproxy.DropReply, 0.05, 0, 0),
		rule("PUT", commits, faultproxy.Late, 0.05, 0, 400*time.Millisecond),
		rule("PUT", commits, faultproxy.Late, 0.05, 0, 25*time.Millisecond), // before somebody else takes the version
		rule("PUT", commits, faultproxy.Twice, 0.05, 0, 0),
		rule("PUT", commits, faultproxy.CutBody, 0.03, 0, 0),
		rule("PUT", commits, faultproxy.Stall, 0.02, 0, 500*time.Millisecond),
		rule("PUT", commits, faultproxy.Status, 0.03, 503, 0),
		rule("PUT", commits, faultproxy.Status, 0.02, 500, 0),
		rule("PUT", commits, faultproxy.Status, 0.02, 409, 0),
		rule("PUT", commits, faultproxy.Status, 0.02, 429, 0),
		rule("GET", reads, faultproxy.Truncate, 0.01, 0, 0),
		rule("GET", reads, faultproxy.DropReply, 0.01, 0, 0),
		rule("", "", faultproxy.Delay, 0.02, 0, 100*time.Millisecond),
	}
}

// run is one run of R6.
type run struct {
	*testing.T
	plan
	server *miniotest.Server
	proxy  *faultproxy.Proxy
	bucket string
	direct objectstore.Store
	dir    string
	rand   clock.Rand
	slots  []*slot
	killed int
	stops  int
}

// slot is a place for one process at a time.
type slot struct {
	role  string
	name  string
	born  int // processes so far
	cmd   *exec.Cmd
	stdin io.Closer
	told  *bytes.Buffer
}

func newRun(t *testing.T, p plan) *run {
	t.Helper()
	srv := miniotest.Start(t)
	proxy, err := faultproxy.Start(faultproxy.Options{Upstream: srv.Endpoint, Seed: p.seed})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = proxy.Close() })
	r := &run{T: t, plan: p, server: srv, proxy: proxy, bucket: srv.Bucket(t), dir: t.TempDir(), rand: clock.SeededRand(p.seed)}
	r.direct = srv.Open(t, "s3://"+r.bucket)
	for i := range p.writers {
		r.slots = append(r.slots, &slot{role: "write", name: fmt.Sprint("w", i)})
	}
	for i := range p.readers {
		r.slots = append(r.slots, &slot{role: "read", name: fmt.Sprint("r", i)})
	}
	t.Cleanup(r.end)
	return r
}

func (r *run) create() {
	r.Helper()
	x, err := logops.Create(logops.Open(r.direct, r.seed))
	if err == nil {
		_, err = x.Commit(r.Context())
	}
	if err != nil {
		r.Fatal(err)
	}
}

// spawn starts a process in a slot.
func (r *run) spawn(s *slot) {
	r.Helper()
	s.born++
	self, err := os.Executable()
	if err != nil {
		r.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), r.server.Environ()...)
	cmd.Env = append(cmd.Env,
		"AWS_ENDPOINT_URL="+r.proxy.URL(), roleVariable+"="+s.role, "LAKE_R6_STORE=s3://"+r.bucket, "LAKE_R6_DIR="+r.dir,
		"LAKE_R6_NAME="+fmt.Sprintf("%s-%d", s.name, s.born), "LAKE_R6_SLOT="+s.name, "LAKE_R6_SEED="+fmt.Sprint(r.rand.Uint64()),
		"GOMAXPROCS=1")
	s.told = &bytes.Buffer{}
	cmd.Stderr = s.told
	if s.stdin, err = cmd.StdinPipe(); err == nil {
		err = cmd.Start()
	}
	if err != nil {
		r.Fatal(err)
	}
	s.cmd = cmd
}

// stop ends a process: by the end of its input, or at once.
func (r *run) stop(s *slot, kill bool) {
	if s.cmd == nil {
		return
	}
	if kill {
		_ = s.cmd.Process.Signal(syscall.SIGKILL)
	}
	_ = s.stdin.Close()
	err := s.cmd.Wait()
	if !kill && err != nil {
		r.Errorf("%s-%d ended with %v\n%s", s.name, s.born, err, s.told)
	}
	s.cmd = nil
}

func (r *run) end() {
	for _, s := range r.slots {
		r.stop(s, true)
	}
}

func (r *run) between(low, high time.Duration) time.Duration {
	return low + time.Duration(clock.Int64N(r.rand, int64(high-low)))
}

// storm runs everybody under faults, and kills and stops one after the other.
func (r *run) storm() {
	r.Helper()
	for _, s := range r.slots {
		r.spawn(s)
	}
	if err := r.proxy.SetRules(faults()...); err != nil {
		r.Fatal(err)
	}
	// Chance and other people's load may keep a storm from its floors: then it lasts longer, within bounds.
	for began := time.Now(); time.Since(began) < r.lasts || time.Since(began) < 4*r.lasts && !r.enough(); {
		time.Sleep(r.between(500*time.Millisecond, 2500*time.Millisecond))
		victim := r.slots[clock.Int64N(r.rand, int64(len(r.slots)))]
		if clock.Int64N(r.rand, 4) == 0 {
			_ = victim.cmd.Process.Signal(syscall.SIGSTOP)
			time.Sleep(r.between(300*time.Millisecond, time.Second))
			_ = victim.cmd.Process.Signal(syscall.SIGCONT)
			r.stops++
			continue
		}
		r.stop(victim, true)
		r.killed++
		r.spawn(victim)
	}
}

// ofTheNetwork are the faults that a run must have met, each so often.
func ofTheNetwork() []faultproxy.Action {
	return []faultproxy.Action{
		faultproxy.DropReply, faultproxy.Late, faultproxy.Twice, faultproxy.CutBody, faultproxy.Stall, faultproxy.Status,
		faultproxy.Truncate, faultproxy.Delay,
	}
}

// enough tells whether the storm has done what it is for: kills, faults, and commits. Some commits are nobody's to
// claim, so that it asks for a fifth more of them.
func (r *run) enough() bool {
	r.Helper()
	fired := r.proxy.Fired()
	for _, a := range ofTheNetwork() {
		if fired[a] < r.firings {
			return false
		}
	}
	versions := 0
	for info, err := range r.direct.List(r.Context(), logops.Path+"/_delta_log/", "") {
		if err != nil {
			r.Fatal(err)
		}
		if strings.HasSuffix(info.Key, ".json") {
			versions++
		}
	}
	return r.killed >= r.kills && versions > r.commits*6/5
}

// quiet lets everybody finish what they are at, and everything late arrive.
func (r *run) quiet() {
	r.Helper()
	if err := r.proxy.SetRules(); err != nil {
		r.Fatal(err)
	}
	for _, s := range r.slots {
		r.stop(s, false)
	}
	r.proxy.Settle()
}

// judge compares histories and log.
func (r *run) judge(check *ledger.Check) {
	r.Helper()
	log, err := history.ReadLog(r.Context(), r.direct, logops.Path)
	if err != nil {
		r.Fatal(err)
	}
	found, counts := history.Check(r.histories(), log, 0)
	for _, v := range found {
		r.Error(v)
	}
	check.Count, check.Failed = counts.Committed, len(found)
	if o, err := logops.ReadOracle(r.Context(), r.direct); err != nil {
		r.Errorf("the slow reading: %v", err)
	} else if err := o.AgreesNewest(r.Context(), r.direct); err != nil {
		r.Error(err)
	}
	fired := r.proxy.Fired()
	r.Logf("%+v; %d versions, %d processes killed, %d stopped, %d requests, faults %v", counts, len(log), r.killed, r.stops, r.proxy.Requests(), fired)
	if r.killed < r.kills || counts.Reads == 0 {
		r.Errorf("%d kills, %d reads: the run is idle", r.killed, counts.Reads)
	}
	for _, a := range ofTheNetwork() {
		if fired[a] < r.firings {
			r.Errorf("%s fired %d times of %d: the run is idle", a, fired[a], r.firings)
		}
	}
}

func (r *run) histories() (all []history.Event) {
	r.Helper()
	files, err := filepath.Glob(filepath.Join(r.dir, "*"))
	if err != nil {
		r.Fatal(err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			r.Fatal(err)
		}
		events, err := history.Parse(bytes.NewReader(b))
		if err != nil {
			r.Fatal(err)
		}
		all = append(all, events...)
	}
	if len(all) == 0 {
		r.Fatal(errors.New("nobody wrote a history: " + strings.Join(files, " ")))
	}
	return all
}
