package pipeline

import "github.com/lakectl/lakectl/txlog"

// Twin is twin for tests, with the kind by its SQL name.
func Twin(tag, column, kind string) (string, bool) {
	t, err := txlog.ParseType(kind)
	if err != nil {
		return "", false
	}
	return twin(tag, column, valueKindOf(t))
}

// Passes is what Go says of a value, NULL included.
func Passes(v any, tag string) bool {
	if v == nil {
		_, required := withoutRequired(tag)
		return !required
	}
	return newGoValidator().passes(v, tag)
}
