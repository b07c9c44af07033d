package main

import (
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/lakectl/lakectl/internal/clock"
)

// Every example of a help text runs in the transcript examples.txtar, letter by letter.
func TestHelpExamplesRun(t *testing.T) {
	script, err := os.ReadFile("testdata/script/examples.txtar")
	if err != nil {
		t.Fatal(err)
	}
	a := newApp(strings.NewReader(""), os.Stdout, os.Stderr, os.Getenv, clock.System(), clock.SystemRand())
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			walk(sub)
		}
		if c.Hidden || c.IsAdditionalHelpTopicCommand() || c.Name() == "help" || c.Name() == "completion" || c.Parent() != nil && c.Parent().Name() == "completion" {
			return
		}
		var examples []string
		for line := range strings.Lines(c.Example) {
			if line = strings.TrimSpace(line); line != "" {
				examples = append(examples, line)
			}
		}
		if len(examples) != 2 {
			t.Errorf("%s: %d examples, want 2", c.CommandPath(), len(examples))
		}
		for _, e := range examples {
			if !strings.Contains(string(script), e) {
				t.Errorf("%s: this example does not run in examples.txtar: %s", c.CommandPath(), e)
			}
		}
		if c.Long == "" && c.Name() != "version" {
			t.Errorf("%s: no long text", c.CommandPath())
		}
	}
	walk(a.root())
}
