package protocolmodel

import (
	"fmt"
)

// broken takes rules away, one at a time.
type broken struct {
	name string

	noSettle, nextVersion, takenIsLost       bool
	vacuumIgnoresAge, vacuumLooksOnce        bool
	leaseIsFence                             bool
	cleansYoung, noFreshness                 bool
	asksPredecessor, orphansAreFine, expires bool
	believesConflicts, followsOrphans        bool
}

// next lists what may happen in a state.
func (b broken) next(s state, yield func(label string, next state)) {
	emit := func(label string, n state) { n.tidy(); yield(label, n) }
	if s.now < s.ticks {
		n := s
		n.now++
		emit("half an hour passes", n)
	}
	b.network(s, emit)
	b.upkeep(s, emit)
	b.vacuum(s, emit)
	for i := range actors {
		b.act(s, i, emit)
		if a := s.actor[i]; i < 2 && s.crashes > 0 && a.try == 0 && a.pc != idle && a.pc != ended {
			n := s
			n.crashes--
			n.forget(i)
			n.actor[i] = actor{try: 1}
			emit(fmt.Sprintf("actor %d dies and starts again", i), n)
		}
	}
}

// forget stops waiting for the reply.
func (s *state) forget(i int) {
	for k := range s.net {
		if s.net[k].work == s.actor[i].work(i) {
			s.net[k].awaited = false
		}
	}
}

// network delivers requests, in any order, at any time before the file is too old for any work.
func (b broken) network(s state, emit func(string, state)) {
	for k, p := range s.net {
		if p.work == 0 || s.now+1-s.staged[p.work] >= retention {
			continue
		}
		n := s
		made := n.create(p.v, p.work)
		if p.awaited {
			a := &n.actor[(p.work-1)%actors]
			if a.pc = replyTaken; made {
				a.pc = replyOK
			}
		}
		n.net[k] = put{}
		emit(fmt.Sprintf("PUT of work %d at %d arrives, created %t", p.work, p.v, made), n)
		if s.twice > 0 {
			n.twice--
			n.net[k] = put{work: p.work, v: p.v}
			emit(fmt.Sprintf("PUT of work %d at %d arrives, created %t, and will again", p.work, p.v, made), n)
		}
	}
}

// upkeep is everyone else: appends, checkpoints, clean-up of the log, oldest first.
func (b broken) upkeep(s state, emit func(string, state)) {
	h := s.head()
	if s.appends > 0 && h+1 < versions {
		n := s
		n.appends--
		n.create(h+1, others)
		emit(fmt.Sprintf("others commit %d", h+1), n)
	}
	if h > s.checkpoint {
		n := s
		n.checkpoint = h
		emit(fmt.Sprintf("checkpoint of %d", h), n)
	}
	for v := range s.checkpoint {
		if s.slot[v] == 0 {
			continue
		}
		if s.now-s.born[v] >= cleanAfter || b.cleansYoung {
			n := s
			n.slot[v], n.born[v] = 0, 0
			n.orphan &^= 1 << v
			emit(fmt.Sprintf("clean-up removes %d", v), n)
		}
		break
	}
}

func (b broken) vacuum(s state, emit func(string, state)) {
	n := s
	switch n.vacuum++; s.vacuum {
	case 0:
		n.live = s.needed()
		emit("vacuum takes a snapshot", n)
	case 1:
		for w := byte(1); w < works; w++ {
			old := s.staged[w] != 0 && s.now+1-s.staged[w] >= retention
			if s.staged[w] != 0 && (old || b.vacuumIgnoresAge) && n.live&(1<<w) == 0 {
				n.doomed |= 1 << w
			}
		}
		n.live = 0
		emit(fmt.Sprintf("vacuum lists %05b", n.doomed>>1), n)
	case 2:
		if !b.vacuumLooksOnce {
			n.doomed &^= s.needed()
		}
		for w := byte(1); w < works; w++ {
			n.gone[w] = n.doomed&(1<<w) != 0
		}
		n.doomed = 0
		emit("vacuum deletes", n)
	}
}

// act is the next step of a writer: the settle rule.
func (b broken) act(s state, i int, emit func(string, state)) {
	n := s
	a := &n.actor[i]
	w := a.work(i)
	say := func(format string, args ...any) {
		emit(fmt.Sprintf("actor %d: ", i)+fmt.Sprintf(format, args...), n)
	}
	end := func(outcome byte) {
		if n.outcome[w] = outcome; outcome == acked {
			n.outcomeV[w] = a.v
		}
		a.pc = ended
	}
	switch a.pc {
	case idle:
		if i < 2 {
			if s.holder != nobody && s.holder != byte(i) && s.until >= s.now {
				return
			}
			n.holder, n.until = byte(i), s.now+leaseFor
			if b.leaseIsFence {
				a.leaseTill = n.until
			}
		}
		a.pc, n.staged[w] = staged, s.now+1
		say("stages work %d", w)
	case staged:
		a.base, a.at, a.doubt = s.head(), s.now, false
		a.v, a.pc = a.base+1, ready
		if i < 2 && !b.leaseIsFence && s.committed() {
			end(doneBefore)
		}
		say("takes a snapshot of %d", a.base)
	case ready:
		b.send(s, i, emit)
	case waiting, replyOK, replyTaken:
		if a.pc != waiting {
			b.reply(s, i, emit)
		}
		n.forget(i)
		switch a.doubt = true; {
		case b.noSettle:
			end(failed)
		case b.nextVersion && a.v+1 < versions:
			a.v, a.pc = a.v+1, ready
		default:
			a.pc = looking
		}
		say("gets no reply")
	case looking:
		switch a.late = s.now-a.at > freshFor && !b.noFreshness; s.slot[a.v] {
		case w:
			a.pc = landed
		case 0:
			a.pc = ready
		default:
			a.pc = beaten
		}
		say("looks at %d and finds %d", a.v, s.slot[a.v])
		n = s
		end(unknown)
		say("gives up in doubt")
	case landed:
		outcome := acked
		if a.late && !b.visible(&s, a.v) {
			outcome = unknown // it may have been visible, and been cleaned up since
			if b.expires {
				outcome = expired
			}
		}
		end(outcome)
		say("ends with outcome %d at %d", outcome, a.v)
	case beaten:
		switch {
		case a.late && !b.believesConflicts && !b.visible(&s, a.v):
			end(unknown) // our own may have been there, visible, and be cleaned up since
		case s.now-a.at > freshFor && !b.noFreshness && !b.believesConflicts && !b.visible(&s, a.v):
			end(expired) // it was another's when we looked; what is there now may be an orphan, even our own
		default:
			b.rebase(&n, i)
		}
		say("lists from %d, then goes on from %d", s.actor[i].v, a.base)
	}
}

// rebase checks the work against what is listed behind its base, and goes on from there.
func (b broken) rebase(s *state, i int) {
	a := &s.actor[i]
	w := a.work(i)
	newest := s.newest()
	for u := a.base + 1; u <= newest; u++ {
		switch {
		case s.slot[u] == 0:
			a.pc, s.outcome[w] = ended, expired
			return
		case s.slot[u] == w:
			a.pc, s.outcome[w], s.outcomeV[w] = ended, acked, u
			return
		case s.orphan&(1<<u) != 0:
			s.misread = true
		}
	}
	a.base, a.v, a.at, a.doubt, a.late, a.pc = newest, newest+1, s.now, false, false, ready
	if i < 2 && !b.leaseIsFence && s.committed() {
		a.pc, s.outcome[w] = ended, doneBefore
	}
}

// visible tells whether readers surely come to v, or came to it before clean-up removed what lies below: no gap
// follows, and every later commit is younger. One that was created where clean-up had made room is younger than they.
func (b broken) visible(s *state, v byte) bool {
	if b.asksPredecessor && s.slot[v-1] == 0 && s.checkpoint != v-1 {
		return false
	}
	gap := s.slot[v] == 0
	for u := v + 1; u < versions; u++ {
		if s.slot[u] == 0 {
			gap = true
		} else if gap || s.born[u] <= s.born[v] && !b.orphansAreFine {
			return false
		}
	}
	return s.slot[v] != 0
}

func (b broken) send(s state, i int, emit func(string, state)) {
	n := s
	a := &n.actor[i]
	w := a.work(i)
	if s.now-a.at > freshFor && !a.doubt && !b.noFreshness {
		switch a.at = s.now; {
		case s.newest() == a.base:
		case s.orphan&(1<<a.base) == 0 && s.slot[a.base] != 0, b.followsOrphans, b.visible(&s, a.base+1):
			b.rebase(&n, i)
		default:
			a.pc, n.outcome[w] = ended, expired
		}
		emit(fmt.Sprintf("actor %d: its snapshot is too old, it goes on from %d", i, a.base), n)
		return
	}
	if a.v >= versions {
		return
	}
	if i < 2 && b.leaseIsFence && a.leaseTill < s.now && !a.doubt {
		a.pc, n.outcome[w] = ended, failed
		emit(fmt.Sprintf("actor %d: has lost its lease", i), n)
		return
	}
	for k := range n.net {
		if n.net[k].work == 0 {
			n.net[k] = put{w, a.v, true}
			a.pc = waiting
			emit(fmt.Sprintf("actor %d: sends PUT of work %d at %d", i, w, a.v), n)
			break
		}
	}
	if s.refusals > 0 && !s.actor[i].doubt {
		n = s
		n.refusals--
		n.actor[i].pc, n.outcome[w] = ended, failed
		emit(fmt.Sprintf("actor %d: is refused", i), n)
	}
}

func (b broken) reply(s state, i int, emit func(string, state)) {
	n := s
	a := &n.actor[i]
	switch {
	case a.pc == replyOK:
		a.pc, a.late = landed, s.now-a.at > freshFor && !b.noFreshness
	case b.takenIsLost:
		a.pc = staged
	default:
		a.pc, a.doubt = looking, true
	}
	emit(fmt.Sprintf("actor %d: gets its reply, ok %t", i, s.actor[i].pc == replyOK), n)
}

// violated names the promise that a state breaks; "" is none.
func (s *state) violated() string {
	seen, slots := byte(0), 0
	for v, w := range s.history {
		if w == 0 || w == others {
			continue
		}
		if seen&(1<<w) != 0 {
			return fmt.Sprintf("work %d is in two versions", w)
		}
		seen |= 1 << w
		if w != 3 {
			slots++
		}
		if s.gone[w] {
			return fmt.Sprintf("a file of version %d was deleted", v)
		}
	}
	if slots > 1 {
		return "the slot was done twice"
	}
	if s.misread {
		return "work was checked against a commit that no reader sees"
	}
	h := s.head()
	for v := h + 1; v < versions; v++ {
		if s.slot[v] != 0 {
			return fmt.Sprintf("version %d is there and %d is not", v, h+1)
		}
	}
	for v := s.checkpoint + 1; v <= h; v++ {
		if s.slot[v] != s.history[v] {
			return fmt.Sprintf("version %d has changed", v)
		}
	}
	for w := byte(1); w < works; w++ {
		there := seen&(1<<w) != 0
		switch o := s.outcome[w]; {
		case o == acked && s.history[s.outcomeV[w]] != w:
			return fmt.Sprintf("work %d was acknowledged at %d and is not there", w, s.outcomeV[w])
		case (o == failed || o == expired) && there:
			return fmt.Sprintf("work %d was refused and is there", w)
		case o == doneBefore && slots == 0:
			return fmt.Sprintf("work %d was called done and is not", w)
		}
	}
	return ""
}
