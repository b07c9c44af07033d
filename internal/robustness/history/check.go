package history

import (
	"fmt"
	"slices"
)

// Violation is a promise that a history breaks.
type Violation struct {
	Law  string // "L1" … "L7"
	Text string
}

// String is one line for people.
func (v Violation) String() string { return v.Law + ": " + v.Text }

// Counts are what a check has looked at, to tell a busy history from an idle one.
type Counts struct {
	Calls, Reads, Commits, Committed, Conflicts, Refused, Unknown, Open int
}

// Check compares histories with the log that is left. Versions up to prepared were there before and were invoked by
// nobody; -1 for none.
//
//	L1  versions run without a gap, and no body ever changes
//	L2  each txnId is in at most one version, and was invoked
//	L3  a commit that was told version v is version v
//	L4  a commit that was told conflict or refusal is nowhere; one that was told nothing, or unknown, at most once
//	L5  with floor(t) the highest version acknowledged or read by t: work invoked at t commits above floor(t), a read
//	    invoked at t returns floor(t) or later
//	L6  a read of v returns after the PUT of v was invoked
//	L7  the numbers of one application rise with the version, and a commit holds the number that it was invoked with
func Check(events []Event, log []Entry, prepared int64) ([]Violation, Counts) {
	c := &checker{log: log, prepared: prepared, at: map[string]int64{}, version: map[int64]Entry{}, invoked: map[string]int64{}}
	calls, err := pair(events)
	if err != nil {
		return []Violation{{"L0", err.Error()}}, Counts{}
	}
	c.contiguous()
	c.names(calls)
	for _, x := range calls {
		c.count(x)
		c.told(x)
	}
	c.floors(calls)
	c.numbers(calls)
	return c.found, c.counts
}

// call is an invoke with its return.
type call struct {
	invoke Event
	ret    *Event // nil: open
}

func (c *call) outcome() Outcome {
	if c.ret == nil {
		return Unknown
	}
	return c.ret.Outcome
}

// name is for messages.
func (c *call) name() string { return fmt.Sprintf("%s/%d", c.invoke.Process, c.invoke.Call) }

// pair joins invokes and returns, in the order of the invokes.
func pair(events []Event) ([]*call, error) {
	type id struct {
		process string
		call    int
	}
	byID := map[id]*call{}
	var out []*call
	for _, e := range events {
		if e.Return {
			continue
		}
		k := id{e.Process, e.Call}
		if byID[k] != nil {
			return nil, fmt.Errorf("%s/%d is invoked twice", e.Process, e.Call)
		}
		byID[k] = &call{invoke: e}
		out = append(out, byID[k])
	}
	for _, e := range events {
		if !e.Return {
			continue
		}
		x := byID[id{e.Process, e.Call}]
		if x == nil || x.ret != nil || e.At < x.invoke.At {
			return nil, fmt.Errorf("%s/%d returns and was not invoked before, or twice", e.Process, e.Call)
		}
		x.ret = &e
	}
	slices.SortStableFunc(out, func(a, b *call) int { return int(min(max(a.invoke.At-b.invoke.At, -1), 1)) })
	return out, nil
}

type checker struct {
	log      []Entry
	prepared int64
	version  map[int64]Entry
	at       map[string]int64 // txnId to version
	invoked  map[string]int64 // txnId to time
	found    []Violation
	counts   Counts
}

func (c *checker) bad(law, format string, args ...any) {
	c.found = append(c.found, Violation{law, fmt.Sprintf(format, args...)})
}

// contiguous is L1 for the log itself, and the first half of L2.
func (c *checker) contiguous() {
	for i, e := range c.log {
		if e.Version != int64(i) {
			c.bad("L1", "version %d stands where %d is expected", e.Version, i)
		}
		if _, twice := c.version[e.Version]; twice {
			c.bad("L1", "version %d is there twice", e.Version)
		}
		c.version[e.Version] = e
		if e.TxnID == "" {
			continue
		}
		if v, twice := c.at[e.TxnID]; twice {
			c.bad("L2", "txnId %s is in versions %d and %d", e.TxnID, v, e.Version)
			continue
		}
		c.at[e.TxnID] = e.Version
	}
}

// names is the second half of L2.
func (c *checker) names(calls []*call) {
	for _, x := range calls {
		if x.invoke.Kind != Commit {
			continue
		}
		if _, twice := c.invoked[x.invoke.TxnID]; twice {
			c.bad("L2", "txnId %s is invoked twice", x.invoke.TxnID)
		}
		c.invoked[x.invoke.TxnID] = x.invoke.At
	}
	for _, e := range c.log {
		if _, ok := c.invoked[e.TxnID]; !ok && e.Version > c.prepared {
			c.bad("L2", "version %d holds txnId %q, which nobody invoked", e.Version, e.TxnID)
		}
	}
}

// told is L3, L4, L6 and the bodies of L1.
func (c *checker) told(x *call) {
	if x.ret != nil && x.ret.Body != "" {
		if e, ok := c.version[x.ret.Version]; ok && e.Body != x.ret.Body {
			c.bad("L1", "%s saw another body of version %d", x.name(), x.ret.Version)
		}
	}
	if x.invoke.Kind == Read {
		c.saw(x)
		return
	}
	v, there := c.at[x.invoke.TxnID]
	switch x.outcome() {
	case Committed:
		if !there || v != x.ret.Version {
			c.bad("L3", "%s was told version %d, which holds %q", x.name(), x.ret.Version, c.version[x.ret.Version].TxnID)
		}
	case Conflict, Refused:
		if there {
			c.bad("L4", "%s was told %s, and version %d is its", x.name(), x.outcome(), v)
		}
	case Unknown: // at most once, which L2 has checked
	case Seen, Failed:
		c.bad("L0", "%s is a commit and ended %s", x.name(), x.outcome())
	}
}

// saw is L6.
func (c *checker) saw(x *call) {
	if x.outcome() != Seen {
		return
	}
	e, ok := c.version[x.ret.Version]
	if !ok {
		c.bad("L1", "%s saw version %d, which is not there", x.name(), x.ret.Version)
		return
	}
	if x.ret.TxnID != "" && e.TxnID != x.ret.TxnID {
		c.bad("L1", "%s saw txnId %s in version %d, which holds %s", x.name(), x.ret.TxnID, e.Version, e.TxnID)
	}
	if at, ok := c.invoked[e.TxnID]; ok && at > x.ret.At {
		c.bad("L6", "%s saw version %d before its PUT was invoked", x.name(), e.Version)
	}
}

// floors is L5: one sweep over invokes and returns by time. At equal times invokes come first, which accuses nobody.
func (c *checker) floors(calls []*call) {
	type moment struct {
		at  int64
		ret bool
		x   *call
	}
	var all []moment
	for _, x := range calls {
		all = append(all, moment{x.invoke.At, false, x})
		if o := x.outcome(); o == Committed || o == Seen {
			all = append(all, moment{x.ret.At, true, x})
		}
	}
	slices.SortStableFunc(all, func(a, b moment) int {
		switch {
		case a.at != b.at:
			return int(min(max(a.at-b.at, -1), 1))
		case a.ret == b.ret:
			return 0
		case b.ret:
			return -1
		}
		return 1
	})
	floor := c.prepared
	for _, m := range all {
		switch {
		case m.ret:
			floor = max(floor, m.x.ret.Version)
		case m.x.invoke.Kind == Read:
			if m.x.outcome() == Seen && m.x.ret.Version < floor {
				c.bad("L5", "%s saw version %d, and %d was known before it began", m.x.name(), m.x.ret.Version, floor)
			}
		default:
			if v, there := c.at[m.x.invoke.TxnID]; there && v <= floor {
				c.bad("L5", "%s became version %d, and %d was known before it began", m.x.name(), v, floor)
			}
		}
	}
}

// numbers is L7.
func (c *checker) numbers(calls []*call) {
	for _, x := range calls {
		v, there := c.at[x.invoke.TxnID]
		if !there || x.invoke.App == "" {
			continue
		}
		if n, ok := c.version[v].Apps[x.invoke.App]; !ok || n != x.invoke.N {
			c.bad("L7", "%s was invoked with %s at %d, and version %d holds %d, %v", x.name(), x.invoke.App, x.invoke.N, v, n, ok)
		}
	}
	last := map[string]int64{}
	for _, e := range c.log {
		for app, n := range e.Apps {
			if old, ok := last[app]; ok && n <= old {
				c.bad("L7", "version %d takes %s from %d to %d", e.Version, app, old, n)
			}
			last[app] = n
		}
	}
}

func (c *checker) count(x *call) {
	c.counts.Calls++
	if x.invoke.Kind == Read {
		c.counts.Reads++
		return
	}
	c.counts.Commits++
	switch {
	case x.ret == nil:
		c.counts.Open++
	case x.ret.Outcome == Committed:
		c.counts.Committed++
	case x.ret.Outcome == Conflict:
		c.counts.Conflicts++
	case x.ret.Outcome == Refused:
		c.counts.Refused++
	case x.ret.Outcome == Unknown:
		c.counts.Unknown++
	}
}
