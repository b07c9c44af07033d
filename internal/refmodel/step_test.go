package refmodel

import (
	"fmt"

	"pgregory.net/rapid"
)

// step is one thing that happens to a table, in words that fit every option set.
type step struct {
	kind  string
	rows  []row
	cond  cond // of the operation
	where cond // of the reads after it
	merge merge
	pick  int  // chooses a version, columns …
	odd   bool // the unusual form
}

// kinds are drawn evenly. The first is what a step shrinks to.
func kinds() []string {
	return []string{
		"read", "append", "append", "append", "append again", "replace", "overwrite", "overwrite where", "overwrite partitions",
		"overwrite schema", "merge", "merge", "merge", "merge", "update", "update", "delete", "delete", "delete all", "optimize", "zorder", "vacuum",
		"restore", "restore", "checkpoint", "reopen", "evolve", "wait", "alter",
	}
}

// steps generates steps. It is one value to rapid, which prints it as one.
func steps() *rapid.Generator[step] { return rapid.Custom(drawStep) }

func drawStep(t *rapid.T) step {
	s := step{kind: kinds()[drawEvenly(t, len(kinds()))], cond: cond{op: "true", side: 't'}}
	switch s.kind {
	case "append", "append again", "overwrite", "overwrite partitions", "overwrite schema", "evolve":
		s.rows = drawRows(t, 12)
	case "replace", "overwrite where":
		s.rows, s.cond = drawRows(t, 12), drawCond(t, "t")
	case "delete":
		s.cond = drawCond(t, "t")
	case "merge":
		s.merge = drawMerge(t)
	case "update":
		s.merge = drawUpdate(t)
	}
	s.pick = rapid.IntRange(0, 999).Draw(t, "pick")
	s.odd = rapid.IntRange(0, 4).Draw(t, "odd") == 4
	s.where = drawCond(t, "t")
	return s
}

// GoString is what rapid prints of a failed run.
func (s step) GoString() string { return s.String() }

func (s step) String() string {
	text := fmt.Sprintf("%s pick=%d odd=%t", s.kind, s.pick, s.odd)
	if len(s.rows) > 0 {
		text += "\n    rows " + values(s.rows, true)
	}
	if s.cond.op != "true" {
		text += "\n    on " + s.cond.sql(true)
	}
	switch s.kind {
	case "merge":
		text += fmt.Sprintf("\n    %+v", s.merge.request(true))
	case "update":
		text += fmt.Sprintf("\n    %+v", s.merge.update(true))
	}
	return text + "\n    read where " + s.where.sql(true)
}

// drawEvenly draws one of n, and shrinks to 0. What rapid draws from a range prefers small numbers. The factor is a
// prime: one that shares a divisor with n would leave most values out.
func drawEvenly(t *rapid.T, n int) int {
	return rapid.IntRange(0, 1<<16).Draw(t, "even") * 48271 % n
}
