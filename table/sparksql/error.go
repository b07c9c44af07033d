package sparksql

import "strings"

// Error says why an expression cannot be evaluated here. Terminal.
type Error struct {
	Expression string // the whole of it, as the table has it, shortened when it is very long
	What       string // the part that is not known to mean the same, or what is wrong
}

// Error names the part and the whole.
func (e *Error) Error() string {
	return "expression " + e.Expression + ": " + e.What
}

// clip keeps messages readable.
func clip(s string) string {
	const most = 500
	s = strings.TrimSpace(s)
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
