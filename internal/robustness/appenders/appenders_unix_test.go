//go:build unix

package appenders_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lakectl/lakectl/deploy/minio/miniotest"
	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/internal/robustness/appenders"
	"github.com/lakectl/lakectl/internal/robustness/history"
	"github.com/lakectl/lakectl/internal/robustness/ledger"
	"github.com/lakectl/lakectl/internal/robustness/logops"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/objectstore/s3"
)

// order is what a process of the run is told.
type order struct {
	Role  string `json:"role"` // "append", "race"
	Name  string `json:"name"`
	Store string `json:"store"`
	Dir   string `json:"dir"` // of histories
	Seed  uint64 `json:"seed"`
	Race  string `json:"race"` // folder of the keys
	Body  int    `json:"body"` // bytes of an object of the race
}

const orderVariable = "LAKE_APPENDERS_ORDER"

func TestMain(m *testing.M) {
	if text := os.Getenv(orderVariable); text != "" {
		if err := obey(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(miniotest.Main(m))
}

// obey is the main function of a process of the run. It says a line when it is ready, begins with the first byte of its
// standard input, stops where the input ends, and prints its tally.
func obey(text string) error {
	var o order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	bucket, err := s3.Open(ctx, o.Store, s3.Options{PathStyle: true})
	if err != nil {
		return err
	}
	rand := clock.SeededRand(o.Seed)
	store := objectstore.Retry(bucket, objectstore.Policy{}, clock.System(), rand)
	h, err := history.Create(filepath.Join(o.Dir, o.Name), o.Name)
	if err != nil {
		return err
	}
	a := &appenders.Appender{Name: o.Name, Store: store, History: h, Rand: rand}
	if err := a.Open(ctx); err != nil {
		return err
	}
	fmt.Println("ready")
	if _, err := io.ReadFull(os.Stdin, make([]byte, 1)); err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	spent, err := cpu()
	if err != nil {
		return err
	}
	var tally *appenders.Tally
	if o.Role == "race" {
		r := &appenders.Racer{Folder: o.Race, Body: bytes.Repeat([]byte{'x'}, o.Body), Store: store}
		tally = r.Race(ctx)
	} else {
		if tally, err = a.Append(ctx); err != nil {
			return err
		}
	}
	if tally.CPU, err = cpu(); err != nil {
		return err
	}
	tally.CPU -= spent
	return json.NewEncoder(os.Stdout).Encode(tally)
}

// cpu is the time that this process has computed, user and system.
func cpu() (time.Duration, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, err
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}

// plan says how hard a run is.
type plan struct {
	processes int
	lasts     time.Duration
	commits   int     // floor of the count
	share     float64 // floor of commits per second, as a share of the store's raw rate; 0: not judged
}

// asked reads "64x60s".
func asked(t *testing.T, text string) plan {
	t.Helper()
	n, d, _ := strings.Cut(text, "x")
	processes, err := strconv.Atoi(n)
	if err != nil {
		t.Fatal(err)
	}
	lasts, err := time.ParseDuration(d)
	if err != nil {
		t.Fatal(err)
	}
	return plan{processes, lasts, processes, 0.5}
}

// TestAppenders lets processes append to one table on a real MinIO. Every acknowledged append is one version of a log
// without gaps, and its file is in the table once. How fast they are is printed beside the rate at which as many
// processes create the keys of a log that is none; the long form demands half of it.
func TestAppenders(t *testing.T) {
	p := ledger.At(plan{4, time.Second, 4, 0}, plan{8, 5 * time.Second, 25, 0}, plan{64, time.Minute, 500, 0.5})
	if text := os.Getenv("LAKE_APPENDERS"); text != "" {
		p = asked(t, text)
	}
	r := &run{T: t, plan: p, server: miniotest.Start(t), dir: t.TempDir()}
	r.bucket = r.server.Bucket(t)
	r.direct = r.server.Open(t, "s3://"+r.bucket)
	r.create()
	check := ledger.Open(t, "R6 appenders", p.commits)
	check.Adds = true

	// The race is run before and after, so that a machine that slows down meanwhile weighs on both.
	alone := r.all(order{Role: "race", Race: "alone"}, 1, max(time.Second, p.lasts/10))
	before := r.all(order{Role: "race", Race: "race-1"}, p.processes, max(time.Second, p.lasts/4))
	appended := r.all(order{Role: "append"}, p.processes, p.lasts)
	after := r.all(order{Role: "race", Race: "race-2"}, p.processes, max(time.Second, p.lasts/4))
	raw := before.add(after)
	t.Logf("%d processes, %s", p.processes, ledger.Machine())
	t.Logf("one process, conditional puts without a rival: %s", alone)
	t.Logf("conditional puts of consecutive keys:          %s", raw)
	t.Logf("appends to one table:                          %s", appended)
	t.Logf("appends at %.0f %% of the store's raw rate (aim 80, floor 50)", 100*appended.rate()/raw.rate())
	if appended.rate() < p.share*raw.rate() {
		t.Errorf("%.1f commits/s, the store creates %.1f keys/s", appended.rate(), raw.rate())
	}
	r.judge(check)
}

// run is one run.
type run struct {
	*testing.T
	plan
	server *miniotest.Server
	bucket string
	direct objectstore.Store
	dir    string
	body   int // bytes of a commit
	made   int // processes so far
}

func (r *run) create() {
	r.Helper()
	x, err := logops.Create(logops.Open(r.direct, 1))
	if err == nil {
		_, err = x.Commit(r.Context())
	}
	if err != nil {
		r.Fatal(err)
	}
	r.body = 520 // of a commit with one add
}

// all runs n processes for a while, from one instant to one instant.
func (r *run) all(o order, n int, lasts time.Duration) total {
	r.Helper()
	o.Store, o.Dir, o.Body = "s3://"+r.bucket, r.dir, r.body
	crew := make([]*process, n)
	for i := range crew {
		r.made++
		o.Name, o.Seed = fmt.Sprintf("p%03d", r.made), uint64(r.made)
		crew[i] = r.start(o)
	}
	for _, p := range crew {
		if line, err := p.out.ReadString('\n'); err != nil {
			r.Fatalf("%s: %v: %s", line, err, p.told)
		}
	}
	began := time.Now()
	for _, p := range crew {
		if _, err := p.in.Write([]byte{'\n'}); err != nil {
			r.Fatal(err)
		}
	}
	time.Sleep(lasts)
	out := total{took: time.Since(began)}
	for _, p := range crew {
		_ = p.in.Close()
	}
	for _, p := range crew {
		b, err := io.ReadAll(p.out)
		if err == nil {
			err = p.cmd.Wait()
		}
		var t appenders.Tally
		if err == nil {
			err = json.Unmarshal(b, &t)
		}
		if err != nil {
			r.Fatalf("%v: %s", err, p.told)
		}
		for _, f := range t.Failures {
			r.Errorf("%s: %s", o.Role, f)
		}
		out.tallies = append(out.tallies, t)
	}
	return out
}
