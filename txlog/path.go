package txlog

import (
	"fmt"
	"net/url"
	"strings"
)

// Path is where a file lies, decoded from the text of the log: either below the table root or somewhere else.
type Path struct {
	Key      string // relative to the table root, decoded; "" when absolute
	Absolute string // decoded address, "scheme://host/path"; "" when relative
}

// Canonical is equal for two texts exactly when they name one file: `/x`, `file:/x` and `file:///x` are one.
func (p Path) Canonical() string {
	if p.Absolute != "" {
		return p.Absolute
	}
	return p.Key
}

const pathBytesMax = 4 << 10

// DecodePath decodes the path of an action: percent escapes once, a plus stays a plus.
//
// Protocol: "Add File and Remove File". An absolute path starts with a slash or with a scheme and a slash; `a:b` is
// a relative name. Errors: [ErrPathEscape] for a relative path with a ".." segment, else [ErrCorruptLog].
func DecodePath(p string) (Path, error) {
	if len(p) > 3*pathBytesMax {
		return Path{}, corrupt("path of %d bytes", len(p))
	}
	scheme, rest := splitScheme(p)
	if scheme == "" && !strings.HasPrefix(p, "/") {
		key := p
		if strings.Contains(p, "%") {
			var err error
			if key, err = url.PathUnescape(p); err != nil {
				return Path{}, corrupt("path %q: %w", clip(p), err)
			}
		}
		if err := checkKey(key); err != nil {
			return Path{}, fmt.Errorf("path %q: %w", clip(p), err)
		}
		return Path{Key: key}, nil
	}
	host := ""
	if strings.HasPrefix(rest, "//") {
		host, rest, _ = strings.Cut(rest[2:], "/")
		rest = "/" + rest
	}
	decoded, err := url.PathUnescape(rest)
	if err != nil {
		return Path{}, corrupt("path %q: %w", clip(p), err)
	}
	if strings.ContainsRune(decoded, 0) || strings.ContainsRune(host, 0) {
		return Path{}, corrupt("path %q holds a NUL", clip(p))
	}
	if scheme == "" {
		scheme = "file"
	}
	return Path{Absolute: scheme + "://" + host + "/" + strings.TrimLeft(decoded, "/")}, nil
}

// splitScheme cuts a scheme off only where a slash follows it, so that a colon in a file name does not count.
func splitScheme(p string) (scheme, rest string) {
	colon := strings.IndexByte(p, ':')
	if colon <= 0 || colon+1 >= len(p) || p[colon+1] != '/' {
		return "", p
	}
	for i := range colon {
		c := p[i] | 0x20
		if letter := c >= 'a' && c <= 'z'; !letter && (i == 0 || !strings.ContainsRune("0123456789+-.", rune(p[i]))) {
			return "", p
		}
	}
	return strings.ToLower(p[:colon]), p[colon+1:]
}

// checkKey accepts the keys that a store accepts.
func checkKey(key string) error {
	if key == "" {
		return corrupt("empty path")
	}
	if len(key) > pathBytesMax {
		return corrupt("path of %d bytes", len(key))
	}
	if strings.ContainsRune(key, 0) {
		return corrupt("path holds a NUL")
	}
	for rest := key; rest != ""; {
		var segment string
		var more bool
		segment, rest, more = strings.Cut(rest, "/")
		switch {
		case segment == "..":
			return fmt.Errorf("%w: segment \"..\"", ErrPathEscape)
		case segment == "." || segment == "" || more && rest == "":
			return corrupt("empty segment in a path")
		}
	}
	return nil
}

// EncodePath is the text that the log carries for a key below the table root: each segment escaped once.
func EncodePath(key string) string {
	segments := strings.Split(key, "/")
	for i, s := range segments {
		// A colon would make some readers see a scheme.
		segments[i] = strings.ReplaceAll(url.PathEscape(s), ":", "%3A")
	}
	return strings.Join(segments, "/")
}
