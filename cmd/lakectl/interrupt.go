package main

import (
	"context"
	"os"
	"os/signal"
	"sync"
)

// interrupts takes the signals that ask the command to stop. The first one ends the work in good order: a commit in
// doubt is settled, then we end. A second one is not caught. While the shell is on, Ctrl-C is the shell's: it stops a
// statement, not the command.
type interrupts struct {
	end context.CancelFunc

	mu    sync.Mutex // guards taken; a leaf lock
	taken func()     // what Ctrl-C does instead of ending the command; nil: nothing else
}

// watch hands on signals until the first that ends the command.
func (i *interrupts) watch(signals chan os.Signal) {
	for s := range signals {
		if s == os.Interrupt && i.give() {
			continue
		}
		signal.Stop(signals)
		i.end()
		return
	}
}

// give tells whether somebody has taken Ctrl-C, and calls him.
func (i *interrupts) give() bool {
	i.mu.Lock()
	taken := i.taken
	i.mu.Unlock()
	if taken != nil {
		taken()
	}
	return taken != nil
}

// take makes Ctrl-C call f, until the next take; nil gives it back.
func (i *interrupts) take(f func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.taken = f
}
