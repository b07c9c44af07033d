// Command lakectl keeps Delta Lake tables on a folder or on S3-compatible storage, and runs bronze → silver → gold
// pipelines over them.
//
// Each verb is one file here: it parses, calls one library function and renders through internal/ui. What a word on
// the command line means stands in target.go, which stores and engines are wired in wiring.go, and which exit code an
// error has in exitcode.go.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // pipelines name IANA zones, and small machines lack the files

	"github.com/lakectl/lakectl/internal/clock"
)

// version is set by the build: -ldflags "-X main.version=…".
var version = "dev"

func main() {
	ctx, end := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	a := newApp(os.Stdin, os.Stdout, os.Stderr, os.Getenv, clock.System(), clock.SystemRand())
	a.interrupts.end = end
	go a.interrupts.watch(signals)
	os.Exit(a.run(ctx, os.Args[1:]))
}
