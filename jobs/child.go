package jobs

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"github.com/lakectl/lakectl/pipeline"
)

// A child talks to its parent in three ways. Its stdin is a pipe that carries nothing: end-of-file means that the
// parent has gone. File 3 carries progress, one JSON object a line, the last of which holds the report. And where the
// kernel can, the child dies with its parent. A task that takes its process down so never takes the scheduler along.

// message is one line of progress.
type message struct {
	Stage  string               `json:"stage,omitempty"`
	Report *pipeline.TaskReport `json:"report,omitempty"`
	Error  string               `json:"error,omitempty"`
}

// childError says that a child failed: with its own report, or without one.
type childError struct {
	text   string
	killed bool // ended by a signal that we did not send: most likely out of memory
}

func (e *childError) Error() string { return e.text }

const lineBytes = 4 << 20 // of a message; a report lists rules and checks, not rows

// child runs a plan in a process of its own. A nil report means that the child ended without one.
func (c *Config) child(ctx context.Context, ref pipeline.PlanRef, attempt int, low bool) (*pipeline.TaskReport, error) {
	args := append(append([]string{}, c.Child[1:]...), ref.String(), "--attempt", strconv.Itoa(attempt))
	if low {
		args = append(args, "--low")
	}
	cmd := exec.CommandContext(ctx, c.Child[0], args...) //nolint:gosec // our own binary, named by cmd
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = killDelay
	cmd.Stderr = c.ChildStderr
	cmd.SysProcAttr = childAttributes()
	cmd.Env = os.Environ()
	if c.ChildMemory > 0 {
		cmd.Env = append(cmd.Env, "GOMEMLIMIT="+strconv.FormatInt(c.ChildMemory, 10))
	}

	alive, parent, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start task %s: %w", ref, err)
	}
	defer func() { _ = parent.Close() }()
	progress, writer, err := os.Pipe()
	if err != nil {
		_ = alive.Close()
		return nil, fmt.Errorf("start task %s: %w", ref, err)
	}
	defer func() { _ = progress.Close() }()
	cmd.Stdin, cmd.ExtraFiles = alive, []*os.File{writer}
	err = cmd.Start()
	_ = alive.Close()
	_ = writer.Close()
	if err != nil {
		return nil, fmt.Errorf("start task %s: %w", ref, err)
	}

	read := make(chan message, 1)
	go func() { read <- lastMessage(progress) }()
	err = cmd.Wait()
	last := c.drain(ctx, read, progress)
	if last.Report != nil {
		if last.Error != "" {
			return last.Report, &childError{text: last.Error}
		}
		return last.Report, nil
	}
	if err == nil {
		err = errors.New("exit status 0")
	}
	return nil, &childError{text: fmt.Sprintf("task %s ended without a report: %v", ref, err), killed: ctx.Err() == nil && killed(err)}
}

// drain waits for the reader of a child that has ended. A grandchild could hold the pipe open, so it waits for a
// moment only; what a grandchild says is nothing about this task.
func (c *Config) drain(ctx context.Context, read <-chan message, progress *os.File) message {
	moment, cancel := detached(ctx, c.LeaseClock, drainDelay)
	defer cancel()
	select {
	case m := <-read:
		return m
	case <-moment.Done():
		_ = progress.SetReadDeadline(time.Unix(1, 0))
		return <-read
	}
}

const drainDelay = 5 * time.Second

// lastMessage reads messages up to the end and returns the last one that carries a report.
func lastMessage(r io.Reader) message {
	var last message
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 64<<10), lineBytes)
	for lines.Scan() {
		var m message
		if json.Unmarshal(lines.Bytes(), &m) == nil && m.Report != nil {
			last = m
		}
	}
	return last
}

// killed tells whether a process was ended by SIGKILL or SIGABRT: the kernel short of memory, or the engine.
func killed(err error) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && (status.Signal() == syscall.SIGKILL || status.Signal() == syscall.SIGABRT)
}
