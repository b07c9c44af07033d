package jobs

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
)

// ErrTestClock says that the text of a test clock cannot be read. Terminal.
var ErrTestClock = errors.New("test clock not readable")

// TestClock lets the slots of a schedule pass quickly, alike in several processes: LAKE_TEST_CLOCK of the command.
// Only slots, as_of and back-off follow it; leases and the store keep real time.
type TestClock struct {
	Epoch time.Time     // real time at which the clock shows Start
	Start time.Time     // what it shows then
	Rate  int           // seconds that pass on it in one real second
	TTL   time.Duration // of leases, in real time; 0: the default
}

// ParseTestClock reads what [TestClock.String] writes:
// "epoch=2026-11-20T12:00:00Z,start=2001-02-15T08:00:00Z,rate=60,ttl=3s".
func ParseTestClock(text string) (TestClock, error) {
	t := TestClock{Rate: 1}
	for field := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(field, "=")
		var err error
		switch name {
		case "epoch":
			t.Epoch, err = time.Parse(time.RFC3339Nano, value)
		case "start":
			t.Start, err = time.Parse(time.RFC3339Nano, value)
		case "rate":
			t.Rate, err = strconv.Atoi(value)
		case "ttl":
			t.TTL, err = time.ParseDuration(value)
		default:
			err = errors.New("unknown field")
		}
		if err != nil {
			return TestClock{}, fmt.Errorf("%w: %q: %w", ErrTestClock, field, err)
		}
	}
	if t.Epoch.IsZero() || t.Start.IsZero() || t.Rate < 1 || t.TTL < 0 {
		return TestClock{}, fmt.Errorf("%w: %q: epoch, start and a rate from 1 are needed", ErrTestClock, text)
	}
	return t, nil
}

// String is read back by [ParseTestClock].
func (t TestClock) String() string {
	return fmt.Sprintf("epoch=%s,start=%s,rate=%d,ttl=%s", t.Epoch.UTC().Format(time.RFC3339Nano),
		t.Start.UTC().Format(time.RFC3339Nano), t.Rate, t.TTL)
}

// Clock is the fast clock over a real one.
func (t TestClock) Clock(base clock.Clock) clock.Clock {
	return clock.Fast(base, t.Epoch, t.Start, t.Rate)
}
