package jobs

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/objectstore/mem"
	"github.com/lakectl/lakectl/pipeline"
)

// beChild is what this test binary does when it is started as a task: a real child with a scripted runner.
func beChild(mode string) int {
	if mode == "parent" {
		return beParent()
	}
	args := os.Args[1:]
	low := args[len(args)-1] == "--low"
	attempt, _ := strconv.Atoi(args[2])
	r := &scripted{task: func(ctx context.Context, p *pipeline.Plan) (*pipeline.TaskReport, error) {
		switch mode {
		case "fails":
			return failed(p, pipeline.ClassCheck)
		case "killed":
			if !low {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			}
		case "crashes":
			os.Exit(2)
		case "waits":
			<-ctx.Done()
			return &pipeline.TaskReport{Model: p.Model, Plan: p.N, Status: pipeline.StatusCancelled}, ctx.Err()
		case "deaf":
			fmt.Fprintln(os.Stderr, os.Getpid())
			time.Sleep(time.Minute)
		}
		return &pipeline.TaskReport{Model: p.Model, Plan: p.N, Status: pipeline.StatusOK, Reason: os.Getenv("GOMEMLIMIT")}, nil
	}}
	return Task(context.Background(), TaskConfig{Runner: r, Ref: args[0], Attempt: attempt, Parent: os.Stdin, Progress: os.NewFile(3, "progress")})
}

// beParent starts a deaf child, says its pid, and waits to be killed.
func beParent() int {
	c, err := Config{Store: mem.New("parent"), Runner: &scripted{}, Child: []string{os.Args[0]}, ChildStderr: os.Stdout}.filled()
	if err != nil {
		return 1
	}
	_ = os.Setenv("LAKE_JOBS_TEST_CHILD", "deaf")
	_, _ = c.child(context.Background(), pipeline.PlanRef{Model: "bronze.flights", N: 1}, 1, false)
	return 0
}

func TestChildren(t *testing.T) {
	for _, c := range []struct {
		mode     string
		status   pipeline.Status
		class    pipeline.Class
		attempts int
		says     string
	}{
		{"succeeds", pipeline.StatusOK, "", 1, ""},
		{"fails", pipeline.StatusFailed, pipeline.ClassCheck, 1, "scripted failure"},
		{"killed", pipeline.StatusOK, "", 2, ""}, // taken for out of memory: once more, with less
		{"crashes", pipeline.StatusFailed, pipeline.ClassIO, 4, "ended without a report: exit status 2"},
		{"waits", pipeline.StatusFailed, pipeline.ClassTimeout, 1, "task_timeout"},
	} {
		t.Run(c.mode, func(t *testing.T) {
			t.Setenv("LAKE_JOBS_TEST_CHILD", c.mode)
			p := flights("")
			if c.mode == "waits" {
				p.TaskTimeout, p.Retries.Max = 200*time.Millisecond, 0
			}
			cfg := config(mem.New(t.Name()), &scripted{models: []string{"bronze.flights"}}, p)
			cfg.Child, cfg.ChildMemory = []string{os.Args[0]}, 123456789
			cfg.Clock = clock.NewStepping(moment(t, "2001-02-15T08:00:00Z"))
			report, err := RunNow(t.Context(), cfg, Request{Pipeline: "flights"})
			if err != nil {
				t.Fatal(err)
			}
			task := report.Tasks[0]
			if task.Status != c.status || task.ErrorClass != c.class || task.Attempt != c.attempts || !strings.Contains(task.Error, c.says) {
				t.Errorf("got %+v", task)
			}
			if c.mode == "succeeds" && task.Reason != "123456789" {
				t.Errorf("GOMEMLIMIT of the child: %q", task.Reason)
			}
		})
	}
}

func TestChildThatCannotStart(t *testing.T) {
	c := fill(t, config(mem.New(t.Name()), &scripted{}, flights("")))
	c.Child = []string{t.TempDir() + "/nothing"}
	if report, err := c.child(t.Context(), pipeline.PlanRef{Model: "bronze.flights", N: 1}, 1, false); report != nil || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, %v", report, err)
	}
}

// A scheduler killed with -9 takes its children with it, even one that listens to nothing.
func TestChildDiesWithItsParent(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), "LAKE_JOBS_TEST_CHILD=parent")
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	pid, aerr := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || aerr != nil {
		t.Fatalf("the child said %q: %v, %v", line, err, aerr)
	}
	if err := syscall.Kill(pid, 0); err != nil {
		t.Fatalf("the child is not there: %v", err)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	for began := time.Now(); alive(pid); time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > 10*time.Second {
			_ = syscall.Kill(pid, syscall.SIGKILL)
			t.Fatalf("child %d outlived its parent", pid)
		}
	}
}

// alive tells whether a process exists and is more than an entry that nobody has collected.
func alive(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

func TestTaskRefusesWhatIsNoPlan(t *testing.T) {
	if code := Task(t.Context(), TaskConfig{Runner: &scripted{}, Ref: "../silver"}); code != exitUsage {
		t.Errorf("exit %d", code)
	}
}
