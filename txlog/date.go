package txlog

import (
	"fmt"
	"strings"
	"time"
)

// Date counts days since 1970-01-01 in the proleptic Gregorian calendar.
type Date int32

// String is the form of partition values and statistics: "2024-01-31"; years before 0 or after 9999 carry a sign.
func (d Date) String() string { return formatDate(int64(d)) }

const (
	microsPerSecond = int64(1_000_000)
	microsPerDay    = 86_400 * microsPerSecond
	// The calendar that partition values and statistics can name; it bounds the arithmetic.
	daysMin, daysMax = int64(-719_528 - 3_652_425), int64(33_000_000)
)

func formatDate(days int64) string {
	t := time.Unix(days*86_400, 0).UTC()
	return formatYear(t) + t.Format("-01-02")
}

func formatYear(t time.Time) string {
	switch y := t.Year(); {
	case y < 0:
		return fmt.Sprintf("-%04d", -y)
	case y > 9999:
		return fmt.Sprintf("+%d", y)
	default:
		return fmt.Sprintf("%04d", y)
	}
}

// parseDate reads yyyy-MM-dd. A time of day after it must be midnight.
func parseDate(s string) (days int64, ok bool) {
	date, clock, hasClock := cutClock(s)
	days, ok = parseDay(date)
	if !ok || !hasClock {
		return days, ok
	}
	micros, ok := parseClock(clock)
	return days, ok && micros == 0
}

func parseDay(s string) (days int64, ok bool) {
	sign, digits := int64(1), s
	switch {
	case strings.HasPrefix(s, "-"):
		sign, digits = -1, s[1:]
	case strings.HasPrefix(s, "+"):
		digits = s[1:]
	}
	parts := strings.Split(digits, "-")
	if len(parts) != 3 || len(parts[0]) < 4 || len(parts[0]) > 6 {
		return 0, false
	}
	year, ok1 := parseDigits(parts[0])
	month, ok2 := parseDigits(parts[1])
	day, ok3 := parseDigits(parts[2])
	if !ok1 || !ok2 || !ok3 || len(parts[1]) > 2 || len(parts[2]) > 2 || month < 1 || month > 12 || day < 1 {
		return 0, false
	}
	t := time.Date(int(sign*year), time.Month(month), int(day), 0, 0, 0, 0, time.UTC)
	if t.Month() != time.Month(month) || t.Day() != int(day) {
		return 0, false
	}
	days = floorDiv(t.Unix(), 86_400)
	return days, days >= daysMin && days <= daysMax
}

// parseTimestamp reads a timestamp into microseconds since 1970. zoned tells whether the text named a zone; a text
// without one is taken as UTC.
func parseTimestamp(s string) (micros int64, zoned, ok bool) {
	date, clock, hasClock := cutClock(s)
	days, ok := parseDay(date)
	if !ok {
		return 0, false, false
	}
	micros = days * microsPerDay
	if !hasClock {
		return micros, false, true
	}
	clock, offset, zoned, ok := cutZone(clock)
	if !ok {
		return 0, false, false
	}
	inDay, ok := parseClock(clock)
	return micros + inDay - offset*microsPerSecond, zoned, ok
}

// cutClock splits a date from the time of day at the first 'T' or space.
func cutClock(s string) (date, clock string, has bool) {
	if i := strings.IndexAny(s, "T "); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return s, "", false
}

// cutZone splits Z, UTC or an offset such as -08:00 from a time of day; offset is in seconds east of UTC.
func cutZone(clock string) (rest string, offset int64, zoned, ok bool) {
	for _, name := range []string{"Z", " UTC", "UTC"} {
		if strings.HasSuffix(clock, name) {
			return strings.TrimSuffix(clock, name), 0, true, true
		}
	}
	i := strings.LastIndexAny(clock, "+-")
	if i < 0 {
		return clock, 0, false, true
	}
	digits := strings.ReplaceAll(clock[i+1:], ":", "")
	if len(digits) == 2 {
		digits += "00"
	}
	n, ok := parseDigits(digits)
	if !ok || len(digits) != 4 || n/100 > 18 || n%100 > 59 {
		return "", 0, false, false
	}
	offset = n/100*3600 + n%100*60
	if clock[i] == '-' {
		offset = -offset
	}
	return clock[:i], offset, true, true
}

// parseClock reads HH:mm[:ss[.fraction]] into microseconds; digits beyond the sixth must be zero.
func parseClock(s string) (micros int64, ok bool) {
	main, fraction, hasFraction := strings.Cut(s, ".")
	parts := strings.Split(main, ":")
	if len(parts) < 2 || len(parts) > 3 || (hasFraction && len(parts) != 3) {
		return 0, false
	}
	var values [3]int64
	for i, p := range parts {
		if values[i], ok = parseDigits(p); !ok || len(p) > 2 {
			return 0, false
		}
	}
	if values[0] > 23 || values[1] > 59 || values[2] > 59 {
		return 0, false
	}
	micros = (values[0]*3600 + values[1]*60 + values[2]) * microsPerSecond
	if !hasFraction {
		return micros, true
	}
	if len(fraction) > 6 {
		if strings.Trim(fraction[6:], "0") != "" || len(fraction) > 12 {
			return 0, false
		}
		fraction = fraction[:6]
	}
	n, ok := parseDigits(fraction)
	for range 6 - len(fraction) {
		n *= 10
	}
	return micros + n, ok
}

// formatTimestamp prints microseconds since 1970 with the given number of digits after the second, cut downwards.
func formatTimestamp(micros int64, separator string, digits int, suffix string) string {
	seconds := floorDiv(micros, microsPerSecond)
	fraction := micros - seconds*microsPerSecond
	t := time.Unix(seconds, 0).UTC()
	s := formatYear(t) + t.Format("-01-02"+separator+"15:04:05")
	if digits > 0 {
		for range 6 - digits {
			fraction /= 10
		}
		s += fmt.Sprintf(".%0*d", digits, fraction)
	}
	return s + suffix
}

// parseDigits reads an unsigned number of up to nine digits.
func parseDigits(s string) (int64, bool) {
	if len(s) == 0 || len(s) > 9 {
		return 0, false
	}
	var n int64
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = n*10 + int64(s[i]-'0')
	}
	return n, true
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b != 0 && (a < 0) != (b < 0) {
		q--
	}
	return q
}
