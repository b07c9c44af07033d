package protocolmodel

import (
	"cmp"
	"slices"
)

// The bounds of the model. A tick is half an hour.
const (
	actors          = 3 // 0 and 1 are schedulers that run the same slot, with a txn; 2 appends without one
	works           = 6 // 1 … 5: a piece of work with a txnId of its own; 4 and 5 are the second tries of 0 and 1
	others          = 7 // commits of the rest of the world
	versions        = 6
	ticks           = 4
	inFlight        = 3 // PUTs under way
	freshFor        = 1 // a snapshot older than this is listed again before a PUT
	cleanAfter      = 2 // clean-up spares younger commits
	retention       = 3 // vacuum spares younger files; no work takes as long as that
	leaseFor        = 1
	nobody          = 9
	unacked    byte = 0
)

// What an actor does next.
const (
	idle byte = iota
	staged
	ready
	waiting
	looking
	replyOK
	replyTaken
	landed
	beaten // another has the version
	ended
)

// How a piece of work ended.
const (
	acked byte = iota + 1
	failed
	unknown
	expired
	doneBefore
)

// actor is a writer.
type actor struct {
	pc, try   byte
	base, at  byte // version and time of its snapshot
	v         byte // the version that it tries to create
	doubt     bool
	late      bool // the last answer came late
	leaseTill byte // as it remembers
}

// put is a request under way.
type put struct {
	work, v byte
	awaited bool // its sender waits for the reply
}

// state is one state of the world. It is compared by value.
type state struct {
	now, checkpoint byte
	slot, born      [versions]byte // the commit objects: 0 is none
	history         [versions]byte // what readers were shown as each version: never forgotten
	orphan          byte           // bit set of versions whose commit was created in room that clean-up made
	misread         bool           // work was checked against an orphan
	net             [inFlight]put
	actor           [actors]actor
	outcome         [works]byte
	outcomeV        [works]byte
	staged          [works]byte // time of the data file, from 1; 0 is none
	gone            [works]bool // the data file was deleted
	holder, until   byte        // of the lease
	vacuum          byte        // 0 idle, 1 has a snapshot, 2 has its list, 3 done
	live, doomed    byte        // bit sets of works
	crashes, twice  byte        // left to spend
	ticks           byte        // the time at which the world ends
	refusals        byte
	appends         byte // of others, left
}

// world bounds who is there and what may go wrong.
type world struct {
	name                              string
	actors                            []int
	crashes, twice, refusals, appends byte
	vacuum                            bool
	ticks                             byte     // half hours
	prologue                          []string // what happens first, as the search calls it
}

// worlds are searched one after the other; all rules are in force in each.
func worlds() []world {
	return []world{
		{name: "two schedulers", actors: []int{0, 1}, crashes: 1, twice: 1, refusals: 1, ticks: 4},
		{name: "scheduler and writer", actors: []int{0, 2}, crashes: 1, appends: 1, ticks: 1},
		{name: "stalled writer and clean-up", actors: []int{2}, twice: 1, refusals: 1, appends: 4, ticks: 4},
		{name: "stalled writers and clean-up", actors: []int{0, 2}, appends: 2, ticks: 2},
		{name: "vacuum", actors: []int{2}, refusals: 1, vacuum: true, ticks: 4},
	}
}

func (w world) start() state {
	s := state{holder: nobody, crashes: w.crashes, twice: w.twice, refusals: w.refusals, appends: w.appends, ticks: w.ticks, vacuum: 3}
	if w.vacuum {
		s.vacuum = 0
	}
	for i := range s.actor {
		if s.actor[i].pc = ended; slices.Contains(w.actors, i) {
			s.actor[i].pc = idle
		}
	}
	s.slot[0], s.history[0] = others, others
	return s
}

func (a *actor) work(i int) byte { return byte(i) + 1 + actors*a.try }

// head is the newest version that a reader reaches.
func (s *state) head() byte {
	h := s.checkpoint
	for h+1 < versions && s.slot[h+1] != 0 {
		h++
	}
	return h
}

// newest is the highest version that a listing shows.
func (s *state) newest() byte {
	for v := byte(versions - 1); v > s.checkpoint; v-- {
		if s.slot[v] != 0 {
			return v
		}
	}
	return s.checkpoint
}

// create is a conditional PUT.
func (s *state) create(v, work byte) bool {
	if s.slot[v] != 0 {
		return false
	}
	if s.orphan |= 1 << v; v == s.head()+1 {
		s.history[v] = work
		s.orphan &^= 1 << v
	}
	s.slot[v], s.born[v] = work, s.now
	return true
}

// committed tells whether readers were shown the slot that actors 0 and 1 work for.
func (s *state) committed() bool {
	return slices.ContainsFunc(s.history[:], func(w byte) bool { return w != 0 && w != others && w != 3 })
}

// needed are the works whose files the newest version needs.
func (s *state) needed() (set byte) {
	for _, w := range s.history {
		if w != 0 && w != others {
			set |= 1 << w
		}
	}
	return set
}

// tidy brings what has no order into one, and forgets what nothing depends on any more: states that differ in that
// alone have the same future.
func (s *state) tidy() {
	starts := s.crashes > 0
	for i := range s.actor {
		a := &s.actor[i]
		switch a.pc {
		case idle, staged: // takes a snapshot first
			starts = starts || a.pc == idle && i < 2
			*a = actor{pc: a.pc, try: a.try, leaseTill: a.leaseTill}
		case ended:
			*a = actor{pc: ended, try: a.try}
		case landed:
			*a = actor{pc: landed, try: a.try, v: a.v, late: a.late}
		case ready, waiting, looking, replyOK, replyTaken:
			a.late = false // the next answer tells
		case beaten:
			a.doubt = false
		}
	}
	if !starts {
		s.holder, s.until = nobody, 0 // nobody will ask for the lease
	}
	if s.vacuum == 3 && s.ticks < retention {
		for w := range s.staged {
			s.staged[w] = min(s.staged[w], 1) // no file gets old
		}
	}
	slices.SortFunc(s.net[:], func(a, b put) int {
		n := cmp.Or(cmp.Compare(b.work, a.work), cmp.Compare(b.v, a.v))
		if n == 0 && a.awaited != b.awaited {
			if n = 1; a.awaited {
				n = -1
			}
		}
		return n
	})
}

// hash tells states apart: FNV-1a of all fields.
func (s *state) hash() uint64 {
	h := uint64(14695981039346656037)
	add := func(list ...byte) {
		for _, b := range list {
			h = (h ^ uint64(b)) * 1099511628211
		}
	}
	bit := func(b bool) byte {
		if b {
			return 1
		}
		return 0
	}
	add(s.now, s.checkpoint, s.holder, s.until, s.vacuum, s.live, s.doomed, s.crashes, s.twice, s.refusals, s.appends, s.orphan, bit(s.misread))
	add(s.slot[:]...)
	add(s.born[:]...)
	add(s.history[:]...)
	for _, p := range s.net {
		add(p.work, p.v, bit(p.awaited))
	}
	for _, a := range s.actor {
		add(a.pc, a.try, a.base, a.at, a.v, bit(a.doubt), bit(a.late), a.leaseTill)
	}
	for w := range works {
		add(s.outcome[w], s.outcomeV[w], s.staged[w], bit(s.gone[w]))
	}
	return h ^ h>>29
}
