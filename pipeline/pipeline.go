// Package pipeline turns a folder of project files into tables: files → models → graph → plans → tasks.
//
// [Load] reads and checks a project, every problem at once. A [Runner] plans a model (what exactly one task will
// consume, written once as an object) and executes the plan (stage, check, one commit). A task is done if and only
// if its table says so, in the `txn` actions of the commit that carries its rows; so every step may be killed and
// repeated, on this machine or on another. When to run, and how often to retry, is decided by package jobs.
package pipeline

import (
	"time"
)

// Pipeline is one folder under pipelines/: a trigger and the models that it builds.
type Pipeline struct {
	Name        string
	Description string
	Owner       string
	Tags        []string
	TimeZone    string         // IANA name; slots and the engine's session use it
	Location    *time.Location // of TimeZone
	Trigger     Trigger
	Start       *time.Time // nil: not given
	Catchup     string     // latest, all, none
	MaxCatchup  int        // slots of one catch-up when Catchup is all
	Overlap     string     // queue, skip
	Parallel    int        // tasks at once
	Retries     Retries
	TaskTimeout time.Duration
	Models      []*Model // in an order in which every model follows its upstream
}

// Trigger says when a pipeline starts by itself. The zero value: by hand only.
type Trigger struct {
	Cron string // five fields or a descriptor of robfig/cron, evaluated on the wall clock of the pipeline's zone
}

// Retries says which failures of a task are tried again, and how.
type Retries struct {
	Max     int
	Initial time.Duration // first back-off
	MaxWait time.Duration // longest back-off
	Classes []Class
}

// Retry tells whether a task that failed with c for the attempt-th time (from 1) is tried again.
func (r Retries) Retry(c Class, attempt int) bool {
	if attempt > r.Max || c == ClassOOM && attempt > 1 {
		return false
	}
	for _, known := range r.Classes {
		if known == c {
			return true
		}
	}
	return false
}
