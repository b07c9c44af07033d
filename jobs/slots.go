package jobs

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/lakectl/lakectl/internal/mutant"
)

// ErrSchedule says that a cron expression cannot be used. Terminal.
var ErrSchedule = errors.New("cron expression not usable")

// Slots is the sequence of instants at which a pipeline fires: a cron expression in a time zone.
//
// The expression is evaluated on the naive wall clock of the zone and then mapped to instants. A wall clock time that
// does not exist fires at the end of the gap, one that exists twice fires the first time, and slots that map to one
// instant are one slot. So a day of 23 or 25 hours neither loses nor repeats a slot; used directly in a zone, the
// cron library skips the one and repeats the other.
type Slots struct {
	text     string
	schedule cron.Schedule
	location *time.Location
}

// NewSlots parses five fields or a descriptor such as "@daily". "@every" has no place on a wall clock and the zone is
// not part of the expression: both wrap [ErrSchedule].
func NewSlots(text string, location *time.Location) (*Slots, error) {
	trimmed := strings.TrimSpace(text)
	if strings.HasPrefix(trimmed, "@every") || strings.HasPrefix(trimmed, "TZ=") || strings.HasPrefix(trimmed, "CRON_TZ=") {
		return nil, fmt.Errorf("%w: %q: @every and TZ= have no effect here; use trigger.interval and timezone", ErrSchedule, text)
	}
	parser := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor)
	schedule, err := parser.Parse(trimmed)
	if err != nil {
		return nil, fmt.Errorf("%w: %q: %w", ErrSchedule, text, err)
	}
	return &Slots{text: trimmed, schedule: schedule, location: location}, nil
}

// String is the expression and its zone.
func (s *Slots) String() string { return s.text + " " + s.location.String() }

// Next is the earliest slot after t, in UTC, or the zero time when there is none within five years.
func (s *Slots) Next(t time.Time) time.Time {
	if mutant.On(mutant.SlotTwice) {
		return s.schedule.Next(t.In(s.location)).UTC()
	}
	// The wall clock at t is a time that exists, and it maps to t or, when it is the second of two, to an instant
	// before t. The mapping never decreases, so no slot up to it can be after t.
	for wall := naive(t, s.location); ; {
		wall = s.schedule.Next(wall)
		if wall.IsZero() {
			return time.Time{}
		}
		if at := instant(wall, s.location); at.After(t) {
			return at
		}
	}
}

// Between lists the slots after from up to and including to, oldest first. When there are more than most, only the
// newest of them are kept.
func (s *Slots) Between(from, to time.Time, most int) []time.Time {
	var out []time.Time
	for at := s.Next(from); !at.IsZero() && !at.After(to); at = s.Next(at) {
		if len(out) == most {
			copy(out, out[1:])
			out = out[:most-1]
		}
		out = append(out, at)
	}
	return out
}

// naive reads the wall clock of a zone and writes it down as if the zone were UTC.
func naive(t time.Time, zone *time.Location) time.Time {
	_, offset := t.In(zone).Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

// instant is when the clocks of a zone show wall: the first such moment, or the end of the gap that swallowed it.
func instant(wall time.Time, zone *time.Location) time.Time {
	near := time.Date(wall.Year(), wall.Month(), wall.Day(), wall.Hour(), wall.Minute(), wall.Second(), 0, zone)
	start, end := near.ZoneBounds()
	probes := []time.Time{near}
	if !start.IsZero() {
		probes = append(probes, start.Add(-1))
	}
	if !end.IsZero() {
		probes = append(probes, end)
	}
	var first time.Time
	for _, probe := range probes {
		_, offset := probe.In(zone).Zone()
		at := wall.Add(-time.Duration(offset) * time.Second)
		if naive(at, zone).Equal(wall) && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	if !first.IsZero() {
		return first.UTC()
	}
	for _, change := range []time.Time{start, end} {
		if !change.IsZero() && naive(change.Add(-1), zone).Before(wall) && naive(change, zone).After(wall) {
			return change.UTC()
		}
	}
	return near.UTC()
}
