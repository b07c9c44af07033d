package ui

import (
	"context"
	"fmt"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
)

// Progress says on Err that work goes on: nothing in its first second, then on a terminal one line that is redrawn
// each second, else a line every 30 seconds. The returned stop ends it, removes the line and waits; it must be
// called.
func (t *Terminal) Progress(ctx context.Context, c clock.Clock, what string, state func() string) (stop func()) {
	if t.Quiet || t.Machine() && !t.ErrTTY {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	start := c.Now()
	go func() {
		defer close(done)
		drawn := false
		for every := time.Second; c.Sleep(ctx, every) == nil; {
			text := fmt.Sprintf("%s   %s", what, Seconds(c.Now().Sub(start)))
			if state != nil {
				if s := state(); s != "" {
					text += "   " + s
				}
			}
			if t.ErrTTY {
				fmt.Fprintf(t.Err, "\r\x1b[K%s", text)
				drawn = true
				continue
			}
			if every == time.Second { // the first line of a log comes at 30 s as well
				every = 29 * time.Second
				continue
			}
			every = 30 * time.Second
			fmt.Fprintln(t.Err, text)
		}
		if drawn {
			fmt.Fprint(t.Err, "\r\x1b[K")
		}
	}()
	return func() {
		cancel()
		<-done
	}
}
