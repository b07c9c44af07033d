package config

import (
	"fmt"
	"strings"
)

// Expand replaces each ${name} and ${env:NAME} of text by what lookup says of "name" or "env:NAME"; "$${" stands
// for "${" itself. The first error of lookup is returned as it is. What lookup returns is not expanded again.
func Expand(text string, lookup func(name string) (string, error)) (string, error) {
	var b strings.Builder
	for {
		i := strings.Index(text, "${")
		if i < 0 {
			b.WriteString(text)
			return b.String(), nil
		}
		if i > 0 && text[i-1] == '$' {
			b.WriteString(text[:i-1] + "${")
			text = text[i+2:]
			continue
		}
		b.WriteString(text[:i])
		name, rest, ok := strings.Cut(text[i+2:], "}")
		if !ok {
			return "", fmt.Errorf("%q has no closing brace", clip(text[i:]))
		}
		value, err := lookup(strings.TrimSpace(name))
		if err != nil {
			return "", err
		}
		b.WriteString(value)
		text = rest
	}
}
