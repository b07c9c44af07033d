package sparksql

import (
	"fmt"
	"strings"

	"github.com/lakectl/lakectl/txlog"
)

// dateFunction are functions of dates and times. Times with a zone are taken apart in the zone of the session.
func (tr *translation) dateFunction(name string, args []value) (value, error) {
	count := 1
	switch name {
	case "year", "quarter", "month", "day", "dayofmonth", "dayofyear", "dayofweek", "weekday", "weekofyear", "last_day",
		"hour", "minute", "second":
	case "date_add", "dateadd", "date_sub", "datediff", "date_diff", "date_format", "date_trunc", "trunc":
		count = 2
	default:
		return value{}, errNoFunction
	}
	if err := want(args, count, count); err != nil {
		return value{}, err
	}
	switch name {
	case "date_format":
		return tr.dateFormat(args)
	case "date_trunc", "trunc":
		return tr.truncated(name, args)
	case "hour", "minute", "second":
		if k := args[0].t.Kind; k != txlog.KindTimestamp && k != txlog.KindTimestampNTZ {
			return value{}, fmt.Errorf("of a %s", args[0].t.SQL())
		}
		tr.zoned = tr.zoned || args[0].t.Kind == txlog.KindTimestamp
		return tr.exactly(name+"("+args[0].sql+")", of(txlog.KindInteger))
	}
	d, err := tr.date(args[0])
	if err != nil {
		return value{}, err
	}
	integer := of(txlog.KindInteger)
	switch name {
	case "dayofweek": // Sunday is 1
		return tr.exactly("dayofweek("+d.sql+") + 1", integer)
	case "weekday": // Monday is 0
		return tr.exactly("isodow("+d.sql+") - 1", integer)
	case "last_day":
		return tr.exactly("last_day("+d.sql+")", d.t)
	case "datediff", "date_diff":
		from, err := tr.date(args[1])
		if err != nil {
			return value{}, err
		}
		return tr.exactly("("+d.sql+" - "+from.sql+")", integer)
	case "date_add", "dateadd", "date_sub":
		if wholeRank(args[1].t) == 0 || wholeRank(args[1].t) > 3 {
			return value{}, fmt.Errorf("of a %s", args[1].t.SQL())
		}
		return tr.arithmetic(map[string]string{"date_add": "+", "dateadd": "+", "date_sub": "-"}[name], d, args[1])
	case "dayofmonth":
		name = "day"
	}
	return tr.exactly(name+"("+d.sql+")", integer)
}

// date is a date, or the day of a time, or a constant text that is one.
func (tr *translation) date(v value) (value, error) {
	if !moment(v.t) && (v.constant == nil || v.constant.kind != nodeString) {
		return value{}, fmt.Errorf("of a %s", v.t.SQL())
	}
	return tr.cast(v, of(txlog.KindDate))
}

// truncated is the begin of the year, month … that a date or a time lies in. date_trunc gives times, trunc dates.
func (tr *translation) truncated(name string, args []value) (value, error) {
	unit, v, to := args[0], args[1], of(txlog.KindTimestamp)
	if name == "trunc" {
		unit, v, to = args[1], args[0], of(txlog.KindDate)
	}
	if unit.constant == nil || unit.constant.kind != nodeString {
		return value{}, fmt.Errorf("by a unit that is no constant")
	}
	if v.t.Kind != txlog.KindDate && v.t.Kind != txlog.KindTimestamp {
		return value{}, fmt.Errorf("of a %s", v.t.SQL())
	}
	part := ""
	switch u := strings.ToLower(unit.constant.text); u {
	case "year", "yyyy", "yy":
		part = "year"
	case "month", "mon", "mm":
		part = "month"
	case "quarter", "week":
		part = u
	case "day", "dd":
		part = "day"
	case "hour", "minute", "second", "millisecond", "microsecond":
		part = u + "s"
	}
	if part == "" || name == "trunc" && (part == "day" || strings.HasSuffix(part, "s")) {
		return value{}, fmt.Errorf("by %q", unit.constant.text)
	}
	v, err := tr.cast(v, to)
	if err != nil {
		return value{}, err
	}
	tr.zoned = tr.zoned || to.Kind == txlog.KindTimestamp
	return tr.exactly("date_trunc('"+part+"', "+v.sql+")", to)
}

// dateFormat writes a date or a time by a pattern of yyyy, MM, dd, HH, mm, ss and signs between them.
func (tr *translation) dateFormat(args []value) (value, error) {
	v, pattern := args[0], args[1].constant
	if !moment(v.t) || pattern == nil || pattern.kind != nodeString {
		return value{}, fmt.Errorf("of anything but a date or a time and a constant pattern")
	}
	var format strings.Builder
	for rest := pattern.text; rest != ""; {
		n := 1
		for n < len(rest) && rest[n] == rest[0] {
			n++
		}
		part, time := "", false
		switch rest[:n] {
		case "yyyy":
			part = "%Y"
		case "MM":
			part = "%m"
		case "dd":
			part = "%d"
		case "HH":
			part, time = "%H", true
		case "mm":
			part, time = "%M", true
		case "ss":
			part, time = "%S", true
		default:
			if strings.ContainsRune("-/:._, ", rune(rest[0])) {
				part = rest[:n]
			}
		}
		if part == "" || time && v.t.Kind == txlog.KindDate {
			return value{}, fmt.Errorf("with the pattern %q", pattern.text)
		}
		format.WriteString(part)
		rest = rest[n:]
	}
	tr.zoned = tr.zoned || v.t.Kind == txlog.KindTimestamp
	local, err := tr.exactly(v.sql, of(txlog.KindTimestampNTZ))
	if err != nil {
		return value{}, err
	}
	sql := tr.fourDigits(v, "strftime("+local.sql+", "+tr.Text(format.String())+")")
	return value{sql: sql, t: of(txlog.KindString)}, nil
}
