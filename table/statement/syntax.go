package statement

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// SyntaxError says where a script is not SQL, or names what is not there. Terminal.
type SyntaxError struct {
	SQL    string // the script
	Offset int    // in bytes
	Reason string // "expected SET, not \"FROM\""
	Hint   string // what the statement looks like; "" when that would not help

	cause error // of the engine
}

// Unwrap returns the engine's error, a *table.SQLError, where it is the one who did not understand.
func (e *SyntaxError) Unwrap() error { return e.cause }

// Error is one line, with the place.
func (e *SyntaxError) Error() string {
	line, column := e.Place()
	return "line " + strconv.Itoa(line) + ", column " + strconv.Itoa(column) + ": " + e.Reason
}

// Place is line and column of the error, in letters, counted from 1.
func (e *SyntaxError) Place() (line, column int) {
	at := min(max(e.Offset, 0), len(e.SQL))
	before := e.SQL[:at]
	start := strings.LastIndexByte(before, '\n') + 1
	return strings.Count(before, "\n") + 1, utf8.RuneCountInString(before[start:]) + 1
}

// excerptMax bounds the letters of the line that an excerpt shows on either side.
const excerptMax = 60

// Excerpt is the line of the error and a line with a caret below the place.
func (e *SyntaxError) Excerpt() string {
	at := min(max(e.Offset, 0), len(e.SQL))
	start := strings.LastIndexByte(e.SQL[:at], '\n') + 1
	end := len(e.SQL)
	if n := strings.IndexByte(e.SQL[at:], '\n'); n >= 0 {
		end = at + n
	}
	before, after := []rune(clean(e.SQL[start:at])), []rune(clean(e.SQL[at:end]))
	if len(before) > excerptMax {
		before = append([]rune("…"), before[len(before)-excerptMax:]...)
	}
	if len(after) > excerptMax {
		after = append(after[:excerptMax:excerptMax], '…')
	}
	return string(before) + string(after) + "\n" + strings.Repeat(" ", len(before)) + "^"
}

// clean makes every letter one column wide.
func clean(s string) string { return strings.NewReplacer("\t", " ", "\r", " ").Replace(s) }
