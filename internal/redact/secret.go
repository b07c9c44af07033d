package redact

import (
	"crypto/subtle"
	"fmt"
	"log/slog"
)

// Secret holds a credential that prints as [Mask]: through fmt (all verbs), log/slog, JSON, YAML and text encoders.
// The value lies behind a pointer, so that even fmt on a struct with an unexported Secret field, where Go calls no
// method, shows an address and not the value. The zero value is empty.
type Secret struct{ value *string }

// NewSecret wraps value.
func NewSecret(value string) Secret {
	if value == "" {
		return Secret{}
	}
	return Secret{&value}
}

// Reveal returns the value. Call it only where the secret leaves for whom it is meant.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// Empty tells whether there is no value.
func (s Secret) Empty() bool { return s.value == nil }

// Equal compares in a time that does not depend on where the values differ.
func (s Secret) Equal(o Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(o.Reveal())) == 1
}

// String is [Mask].
func (Secret) String() string { return Mask }

// GoString is [Mask].
func (Secret) GoString() string { return Mask }

// Format writes [Mask], whatever the verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(Mask)) }

// LogValue is [Mask].
func (Secret) LogValue() slog.Value { return slog.StringValue(Mask) }

// MarshalText is [Mask].
func (Secret) MarshalText() ([]byte, error) { return []byte(Mask), nil }

// MarshalJSON is [Mask] as a JSON string.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + Mask + `"`), nil }

// MarshalYAML is [Mask].
func (Secret) MarshalYAML() (any, error) { return Mask, nil }
