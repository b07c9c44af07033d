package tabletest

import (
	"context"
	"testing"

	"github.com/lakectl/lakectl/table"
)

// Sound runs fsck at the end of the test and fails it over anything found, warnings included: a pass over a broken
// table teaches nothing.
func Sound(tb testing.TB, tab *table.Table, f ...table.Fsck) {
	tb.Helper()
	tb.Cleanup(func() {
		if !tb.Failed() {
			CheckSound(tb, tab, f...)
		}
	})
}

// CheckSound runs fsck now. With an engine it reads all rows.
func CheckSound(tb testing.TB, tab *table.Table, f ...table.Fsck) {
	tb.Helper()
	var how table.Fsck
	if len(f) > 0 {
		how = f[0]
	}
	report, err := table.Check(context.WithoutCancel(tb.Context()), tab.Store(), tab.Path(), how)
	if err != nil {
		tb.Errorf("fsck: %v", err)
		return
	}
	if len(report.Findings) > 0 || report.MoreFindings {
		tb.Errorf("the table is not sound:\n%v", report)
	}
}
