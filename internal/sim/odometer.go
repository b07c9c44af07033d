package sim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Odometer turns through every sequence of choices of a program that is deterministic but for them.
//
//	for o := new(Odometer); o.Next(); { run(o) } // run calls o.Pick wherever it has a choice
//
// The zero value is ready. Not safe for concurrent use.
type Odometer struct {
	digit, radix []int
	seen         []uint64 // what was offered at each digit
	at           int
	started      bool
	err          error
}

// Next prepares the next run. It is true the first time; then it drops the digits that the last run did not use, turns
// the deepest digit that is below its radix and drops those after it. It is false when none is left, and after an Err.
func (o *Odometer) Next() bool {
	if o.err != nil {
		return false
	}
	if !o.started {
		o.started = true
		return true
	}
	last := o.at - 1
	for last >= 0 && o.digit[last]+1 >= o.radix[last] {
		last--
	}
	o.digit, o.radix, o.seen, o.at = o.digit[:last+1], o.radix[:last+1], o.seen[:last+1], 0
	if last < 0 {
		return false
	}
	o.digit[last]++
	return true
}

// Pick chooses one of n: the recorded digit, or a new 0.
func (o *Odometer) Pick(n int) int { return o.PickFrom(n, 0) }

// PickFrom is Pick that also compares what is offered, a hash of it, with what the runs before were offered here.
// A difference means that the program is not deterministic: it is kept for Err, and all later picks are 0.
func (o *Odometer) PickFrom(n int, offered uint64) int {
	if o.err != nil {
		return 0
	}
	if o.at == len(o.digit) {
		o.digit, o.radix, o.seen = append(o.digit, 0), append(o.radix, n), append(o.seen, offered)
	}
	if o.radix[o.at] != n || o.seen[o.at] != offered {
		o.err = fmt.Errorf("not deterministic: at choice %s there were %d events and now there are %d, or others",
			Schedule(o.digit[:o.at]), o.radix[o.at], n)
		return 0
	}
	o.at++
	return o.digit[o.at-1]
}

// Err tells why the odometer stopped before it had turned through all choices; nil if it did not.
func (o *Odometer) Err() error { return o.err }

// Schedule is a sequence of choices. Its text form is "0.2.1".
type Schedule []int

// String is what [ParseSchedule] reads; the empty schedule is "-".
func (s Schedule) String() string {
	if len(s) == 0 {
		return "-"
	}
	var b []byte
	for i, d := range s {
		if i > 0 {
			b = append(b, '.')
		}
		b = strconv.AppendInt(b, int64(d), 10)
	}
	return string(b)
}

// ParseSchedule reads "0.2.1". A run that needs more choices than are given takes the first event each time.
func ParseSchedule(text string) (Schedule, error) {
	if text == "-" {
		return Schedule{}, nil
	}
	var s Schedule
	for part := range strings.SplitSeq(text, ".") {
		d, err := strconv.ParseUint(part, 10, 16)
		if err != nil {
			return nil, fmt.Errorf("schedule %q: %w", text, err)
		}
		s = append(s, int(d))
	}
	return slices.Clip(s), nil
}
