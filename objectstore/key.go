package objectstore

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// KeyBytesMax is the longest key that every store takes, in bytes: the limit of S3, prefix of the store included.
const KeyBytesMax = 1024

// CheckKey returns nil for a key that every store takes, else an error that wraps [ErrInvalidKey].
//
// A key is valid UTF-8 of 1 to [KeyBytesMax] bytes, without control characters (they cannot travel in the XML of S3, and
// forge lines in logs), without backslash (a separator to some engines and systems), and without empty, "." or ".." segments: so it has no slash at either end. Everything else is taken
// literally, percent signs included.
func CheckKey(key string) error {
	if why := checkKey(key); why != "" {
		return fmt.Errorf("%w: %q %s", ErrInvalidKey, clip(key), why)
	}
	return nil
}

func checkKey(key string) string {
	if key == "" {
		return "is empty"
	}
	if why := checkText(key); why != "" {
		return why
	}
	return checkSegments(strings.Split(key, "/"))
}

// CheckPrefix returns nil for a prefix that may be listed, else an error that wraps [ErrInvalidKey]. A prefix is
// empty or the beginning of a key, cut between any two characters.
func CheckPrefix(prefix string) error {
	why := checkText(prefix)
	if i := strings.LastIndexByte(prefix, '/'); why == "" && i >= 0 {
		why = checkSegments(strings.Split(prefix[:i], "/"))
	}
	if why != "" {
		return fmt.Errorf("%w: prefix %q %s", ErrInvalidKey, clip(prefix), why)
	}
	return nil
}

func checkText(s string) string {
	switch {
	case len(s) > KeyBytesMax:
		return fmt.Sprintf("has more than %d bytes", KeyBytesMax)
	case strings.ContainsFunc(s, unicode.IsControl):
		return "contains a control character"
	case strings.IndexByte(s, '\\') >= 0:
		return "contains a backslash"
	case !utf8.ValidString(s):
		return "is not UTF-8"
	}
	return ""
}

func checkSegments(segments []string) string {
	for _, s := range segments {
		switch s {
		case "":
			return "has an empty segment"
		case ".", "..":
			return "has a dot segment"
		}
	}
	return ""
}

// Wrap says what was being done to which object when err happened; nil stays nil. A key that was refused is shown once,
// and only its beginning.
func Wrap(verb, key string, err error) error {
	switch {
	case err == nil:
		return nil
	case checkKey(key) != "":
		return fmt.Errorf("%s: %w", verb, err)
	}
	return fmt.Errorf("%s %s: %w", verb, key, err)
}

// clip keeps an error readable whatever the key.
func clip(s string) string {
	if len(s) > 200 {
		return s[:200] + "…"
	}
	return s
}
