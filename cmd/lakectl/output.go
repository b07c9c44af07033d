package main

import (
	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/internal/ui"
)

// oneValue refuses the forms that only rows have.
func (a *app) oneValue() error {
	if a.term.Format == ui.CSV || a.term.Format == ui.Markdown {
		return usagef("--output %s is for rows; this verb has one value: table, json or ndjson", a.term.Format)
	}
	return nil
}

// watch returns a function that tells the milliseconds since.
func (a *app) watch() func() int64 {
	start := a.clock.Now()
	return func() int64 { return clock.Since(a.clock, start).Milliseconds() }
}
