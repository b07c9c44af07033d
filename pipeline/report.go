package pipeline

import "time"

// Status is how a task ended.
type Status string

// The ends of a task. StatusNothing is not written to history: no plan was made.
const (
	StatusOK         Status = "ok"
	StatusWarned     Status = "warned"     // committed; rules or checks with warn failed
	StatusFailed     Status = "failed"     // nothing committed
	StatusSkipped    Status = "skipped"    // not tried; Reason says why
	StatusCancelled  Status = "cancelled"  // ctx ended it
	StatusSuperseded Status = "superseded" // another process committed this or a later plan; not an error
	StatusNothing    Status = "nothing"    // nothing to do
)

// TaskReport is what one task did: the columns of the history table _lake.tasks, and what people want to see.
// Units: bytes and rows. JSON names are stable.
type TaskReport struct {
	Run            string    `json:"run"`
	Model          string    `json:"model"`
	Kind           Kind      `json:"kind"`
	Plan           int64     `json:"plan,omitempty"`
	Attempt        int       `json:"attempt,omitempty"` // from 1; set by who retries
	Engine         string    `json:"engine,omitempty"`
	Status         Status    `json:"status"`
	Reason         string    `json:"reason,omitempty"`
	TargetVersion  *int64    `json:"target_version,omitempty"`
	Code           string    `json:"code,omitempty"`
	Staged         []string  `json:"staged,omitempty"` // keys of staged files that a failed task left for inspection
	RowsIn         int64     `json:"rows_in"`
	RowsAdded      int64     `json:"rows_added"`
	RowsUpdated    int64     `json:"rows_updated"`
	RowsDeleted    int64     `json:"rows_deleted"`
	RowsSuperseded int64     `json:"rows_superseded"`
	RowsQuarantine int64     `json:"rows_quarantined"`
	RowsDropped    int64     `json:"rows_dropped"`
	RowsLate       int64     `json:"rows_late"` // older than the stored sequence of their key
	RowsRescued    int64     `json:"rows_rescued"`
	FilesIn        int64     `json:"files_in"`
	FilesPoison    int64     `json:"files_poison"`
	RowsPoison     int64     `json:"rows_poison"` // lines that are no record of their format; in RowsQuarantine, too
	BytesIn        int64     `json:"bytes_in"`
	BytesWritten   int64     `json:"bytes_written"`
	StartedAt      time.Time `json:"started_at"`
	FinishedAt     time.Time `json:"finished_at"`
	ErrorClass     Class     `json:"error_class,omitempty"`
	Error          string    `json:"error,omitempty"`
	Hint           string    `json:"hint,omitempty"` // the command that helps, where there is one

	Resumed bool          `json:"resumed,omitempty"` // the plan was made by an earlier run or attempt
	Rules   []RuleReport  `json:"rules,omitempty"`   // row rules that failed at least once
	Checks  []CheckReport `json:"checks,omitempty"`  // every set check
	Notes   []string      `json:"notes,omitempty"`   // things that people should read: files that vanished, ignored changes
}

// RuleReport says how often a row rule failed.
type RuleReport struct {
	Rule   string `json:"rule"`
	OnFail string `json:"on_fail"` // warn, quarantine, drop, fail
	Rows   int64  `json:"rows"`
}

// CheckReport is one row of _lake.checks.
type CheckReport struct {
	Check     string `json:"check"` // "unique(flight_date, iata)"
	Severity  string `json:"severity"`
	Status    Status `json:"status"` // ok, warned, failed
	Failures  int64  `json:"failures"`
	Rows      int64  `json:"rows"`
	Threshold string `json:"threshold"` // max_failures as it was written
	Detail    string `json:"detail,omitempty"`
}

// Elapsed is how long the task took.
func (t *TaskReport) Elapsed() time.Duration { return t.FinishedAt.Sub(t.StartedAt) }

// Warned tells which rules and checks warned, and how many rows that were.
func (t *TaskReport) Warned() (rows int64, names []string) {
	for _, r := range t.Rules {
		if r.OnFail == onFailWarn {
			rows += r.Rows
			names = append(names, r.Rule)
		}
	}
	for _, c := range t.Checks {
		if c.Status == StatusWarned {
			rows += c.Failures
			names = append(names, c.Check)
		}
	}
	return rows, names
}

// RunReport is what one run did. Tasks are in the order in which they ended; a model has one entry for each plan.
type RunReport struct {
	Run        string        `json:"run"`
	Project    string        `json:"project"`
	Pipeline   string        `json:"pipeline"`
	Env        string        `json:"environment"`
	AsOf       time.Time     `json:"as_of"`
	StartedAt  time.Time     `json:"started_at"`
	FinishedAt time.Time     `json:"finished_at"`
	Tasks      []*TaskReport `json:"tasks"`
}

// Status is failed if a task failed, cancelled if one was, warned if one warned, nothing if there was nothing to
// do, else ok.
func (r *RunReport) Status() Status {
	seen := map[Status]bool{}
	for _, t := range r.Tasks {
		seen[t.Status] = true
	}
	for _, s := range []Status{StatusFailed, StatusCancelled, StatusWarned, StatusOK, StatusSuperseded} {
		if seen[s] {
			if s == StatusSuperseded {
				return StatusOK
			}
			return s
		}
	}
	return StatusNothing
}

// Exit codes of a run (pipelines.md, Commands).
const (
	ExitDone        = 0
	ExitError       = 1
	ExitPartial     = 2
	ExitCheck       = 3
	ExitHeld        = 4
	ExitUnknown     = 8
	ExitInterrupted = 130
)

// ExitCode is 0 when nothing failed; 8 when a commit is in doubt; 130 when the run was cancelled; 2 when some tasks
// committed and others failed; else what the first failure says: 3 for checks and contracts, 4 for lost races, 1.
func (r *RunReport) ExitCode() int {
	var first *TaskReport
	committed := false
	for _, t := range r.Tasks {
		switch t.Status {
		case StatusOK, StatusWarned:
			committed = true
		case StatusCancelled:
			return ExitInterrupted
		case StatusFailed:
			if t.ErrorClass == ClassUnknown {
				return ExitUnknown
			}
			if first == nil {
				first = t
			}
		case StatusSkipped, StatusSuperseded, StatusNothing:
		}
	}
	switch {
	case first == nil:
		return ExitDone
	case committed:
		return ExitPartial
	}
	return first.ErrorClass.ExitCode()
}

// ExitCode is the exit code of a process whose only task failed with c.
func (c Class) ExitCode() int {
	switch c {
	case "":
		return ExitDone
	case ClassCheck, ClassContract:
		return ExitCheck
	case ClassConflict:
		return ExitHeld
	case ClassUnknown:
		return ExitUnknown
	case ClassIO, ClassThrottled, ClassTimeout, ClassOOM, ClassAuth, ClassSQL, ClassConfig:
		return ExitError
	}
	return ExitError
}
