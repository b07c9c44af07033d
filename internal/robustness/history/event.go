// Package history records what processes did to a table and checks it against the log that they left.
//
// Each process appends to a file of its own: an invoke before each call, a return after it, with the machine's monotonic
// clock. [Check] compares the histories with the log as it is read when all is quiet, by one sort and one sweep; names
// of work are unique and the order of versions is given, so it needs no search. [Linearizable] asks porcupine about the
// same history, as a check on the checker; it is exponential, so histories must be short.
package history

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// Kind is what a call does.
type Kind string

// The kinds.
const (
	Commit Kind = "commit" // invoked right before the first PUT, when the txnId is known
	Read   Kind = "read"   // of the newest version
)

// Outcome is what a call was told. No return at all leaves the end open.
type Outcome string

// The outcomes.
const (
	Committed Outcome = "committed"
	Conflict  Outcome = "conflict"
	Refused   Outcome = "refused" // any error that promises that nothing landed
	Unknown   Outcome = "unknown"
	Seen      Outcome = "seen"   // of a read that worked
	Failed    Outcome = "failed" // of a read that did not
)

// Event is one line of a history file. Fields that do not apply are empty.
type Event struct {
	At      int64   `json:"at"` // nanoseconds of the machine's monotonic clock
	Process string  `json:"process"`
	Call    int     `json:"call"`             // number of the call in the process
	Return  bool    `json:"return,omitempty"` // else invoke
	Kind    Kind    `json:"kind"`
	Table   string  `json:"table,omitempty"`
	TxnID   string  `json:"txnId,omitempty"` // of the work; on the return of a read, of the version that was seen
	App     string  `json:"app,omitempty"`
	N       int64   `json:"n,omitempty"`       // number of the application
	Version int64   `json:"version,omitempty"` // committed or seen
	Outcome Outcome `json:"outcome,omitempty"`
	Body    string  `json:"body,omitempty"` // hash of the commit of Version, where it was read
}

// Recorder appends the history of one process. Safe for concurrent use.
type Recorder struct {
	process string
	file    *os.File

	mu    sync.Mutex // guards calls; a leaf lock
	calls int
}

// Create opens the history file of a process. Another process that had the name before must have ended.
func Create(path, process string) (*Recorder, error) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open history: %w", err)
	}
	return &Recorder{process: process, file: f}, nil
}

// Close closes the file.
func (r *Recorder) Close() error { return r.file.Close() }

// Invoke notes that a call begins, and returns its number.
func (r *Recorder) Invoke(e Event) (call int, err error) {
	r.mu.Lock()
	r.calls++
	e.Call = r.calls
	r.mu.Unlock()
	e.Return = false
	return e.Call, r.write(e)
}

// Return notes how the call ended.
func (r *Recorder) Return(call int, e Event) error {
	e.Call, e.Return = call, true
	return r.write(e)
}

// write appends one line in one system call: a process that is killed leaves whole lines, and at most one cut one.
func (r *Recorder) write(e Event) error {
	e.Process, e.At = r.process, Monotonic()
	b, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("write history: %w", err)
	}
	if _, err := r.file.Write(append(b, '\n')); err != nil {
		return fmt.Errorf("write history: %w", err)
	}
	return nil
}

// lineBytesMax bounds a line of a history.
const lineBytesMax = 1 << 20

// Parse reads a history. A last line that was cut by a kill is left out.
func Parse(r io.Reader) ([]Event, error) {
	var out []Event
	lines := bufio.NewReaderSize(r, 64<<10)
	for n := 1; ; n++ {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read history: %w", err)
		}
		if len(line) > lineBytesMax {
			return nil, fmt.Errorf("read history: line %d has %d bytes", n, len(line))
		}
		var e Event
		d := json.NewDecoder(bytes.NewReader(line))
		d.DisallowUnknownFields()
		if err := d.Decode(&e); err != nil {
			return nil, fmt.Errorf("read history: line %d: %w", n, err)
		}
		if _, err := d.Token(); !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("read history: line %d goes on after its end", n)
		}
		out = append(out, e)
	}
}
