package txlog

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Defaults of the table properties that the log itself obeys.
const (
	DefaultCheckpointInterval   = 10
	DefaultLogRetention         = 30 * 24 * time.Hour
	DefaultDeletedFileRetention = 7 * 24 * time.Hour
)

// ParseInterval reads a table property that is a span of time: "interval 30 days", "1 week", "2 hours 30 minutes".
// Months and years have no fixed length and are refused, as are negative spans.
func ParseInterval(s string) (time.Duration, error) {
	words := strings.Fields(strings.ToLower(s))
	if len(words) > 0 && words[0] == "interval" {
		words = words[1:]
	}
	if len(words) == 0 || len(words)%2 != 0 {
		return 0, fmt.Errorf("interval %q: expected pairs such as \"30 days\"", clip(s))
	}
	var total time.Duration
	for i := 0; i < len(words); i += 2 {
		n, err := strconv.ParseInt(words[i], 10, 64)
		if err != nil || n < 0 {
			return 0, fmt.Errorf("interval %q: %q is not a whole number", clip(s), clip(words[i]))
		}
		unit, ok := intervalUnit(strings.TrimSuffix(words[i+1], "s"))
		if !ok {
			return 0, fmt.Errorf("interval %q: unit %q has no fixed length or is unknown", clip(s), clip(words[i+1]))
		}
		if n > math.MaxInt64/int64(unit) || time.Duration(n)*unit > math.MaxInt64-total {
			return 0, fmt.Errorf("interval %q is longer than %v", clip(s), time.Duration(math.MaxInt64))
		}
		total += time.Duration(n) * unit
	}
	return total, nil
}

func intervalUnit(word string) (time.Duration, bool) {
	switch word {
	case "week":
		return 7 * 24 * time.Hour, true
	case "day":
		return 24 * time.Hour, true
	case "hour":
		return time.Hour, true
	case "minute":
		return time.Minute, true
	case "second":
		return time.Second, true
	case "millisecond":
		return time.Millisecond, true
	case "microsecond":
		return time.Microsecond, true
	}
	return 0, false
}

// intervalProperty reads a span; a value that cannot be read counts as the fallback, since foreign writers may have
// set anything and the longer of two answers is not known.
func intervalProperty(configuration map[string]string, key string, fallback time.Duration) time.Duration {
	text, has := configuration[key]
	if !has {
		return fallback
	}
	d, err := ParseInterval(text)
	if err != nil {
		return fallback
	}
	return d
}

// checkpointInterval is the number of commits between two checkpoints.
func checkpointInterval(configuration map[string]string) Version {
	n, err := strconv.ParseInt(configuration["delta.checkpointInterval"], 10, 64)
	if err != nil || n <= 0 {
		return DefaultCheckpointInterval
	}
	return Version(n)
}
