package pipeline

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/lakectl/lakectl/txlog"
)

// Restart makes merges begin elsewhere than where their tables are: the two ways on from [ErrSourceRewound]. The zero
// value goes on from the table.
type Restart struct {
	// FullRefresh computes each selected merge anew from all rows of its sources and replaces its rows, its columns,
	// its quarantine table and its progress; rows and progress in one commit. At least one merge must be selected.
	FullRefresh bool
	// ResumeAt takes this version of the changes source for consumed: the rows stay, and what came behind it is
	// merged. Exactly one merge must be selected.
	ResumeAt *txlog.Version
}

// The values of Plan.Restart.
const (
	RestartFull   = "full_refresh"
	RestartResume = "resume_at"
)

func (r Restart) mode() string {
	switch {
	case r.FullRefresh:
		return RestartFull
	case r.ResumeAt != nil:
		return RestartResume
	}
	return ""
}

// check says why a restart cannot be asked of these models.
func (r Restart) check(models []*Model) error {
	merges := 0
	for _, m := range models {
		if m.Kind == KindMerge {
			merges++
		}
	}
	switch {
	case r.FullRefresh && r.ResumeAt != nil:
		return fmt.Errorf("%w: --full-refresh and --resume-at exclude each other", errConfig)
	case r.FullRefresh && merges == 0:
		return fmt.Errorf("%w: --full-refresh is for models of kind merge, and none is selected", errConfig)
	case r.ResumeAt != nil && (merges != 1 || *r.ResumeAt < 0):
		return fmt.Errorf("%w: --resume-at is a version of the source of one merge: select exactly one with --select", errConfig)
	}
	return nil
}

// forgotten is the consumed version of a source that a restart left behind: should that table come back, going on from
// what was once consumed of it would be wrong.
const forgotten = -1

// forget is the progress that a restart takes back, of sources that are none any more.
func (t *task) forget() []txlog.Txn {
	if t.p.Restart == "" || t.s.snapshot() == nil {
		return nil
	}
	var out []txlog.Txn
	for id, txn := range t.s.snapshot().Txns() {
		used := slices.ContainsFunc(t.p.Sources, func(src PlanSource) bool { return src.Mode == modeChanges && t.r.sourceID(t.s.m, src.ID) == id })
		if strings.HasPrefix(id, t.r.sourceID(t.s.m, "")) && !used && txn.Version != forgotten {
			out = append(out, txlog.Txn{AppID: id, Version: forgotten})
		}
	}
	slices.SortFunc(out, func(a, b txlog.Txn) int { return strings.Compare(a.AppID, b.AppID) })
	return out
}

// hint is the command that helps against err, "" when there is none.
func (r *Runner) hint(model string, err error) string {
	m, ok := r.o.Project.Model(model)
	if !ok || !errors.Is(err, ErrSourceRewound) {
		return ""
	}
	return fmt.Sprintf("lakectl run %s --select %s --full-refresh   # computes it anew; --resume-at V keeps its rows and goes on behind version V of the source", m.Pipeline, m.Name)
}
