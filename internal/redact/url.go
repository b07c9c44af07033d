package redact

import (
	"net/url"
	"strings"
)

// URL returns address without user information, with each query value masked (signatures and tokens travel there),
// and without a fragment. Text that is no URL is treated with the same suspicion: everything before its last @ goes.
func URL(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Opaque != "" || u.Scheme == "" && strings.Contains(address, "://") {
		return rough(address)
	}
	if u.User != nil {
		u.User = nil
		// Rebuilt by hand: url.URL would escape the asterisks.
		rest := strings.TrimPrefix(strings.TrimPrefix(plain(u), u.Scheme+":"), "//")
		scheme := ""
		if u.Scheme != "" {
			scheme = u.Scheme + ":"
		}
		return scheme + "//" + Mask + "@" + rest + query(u.RawQuery)
	}
	return plain(u) + query(u.RawQuery)
}

// plain is u without query and fragment.
func plain(u *url.URL) string {
	v := *u
	v.RawQuery, v.ForceQuery, v.Fragment, v.RawFragment = "", false, "", ""
	return v.String()
}

// query masks the values of a raw query and keeps the names.
func query(raw string) string {
	if raw == "" {
		return ""
	}
	var b strings.Builder
	for i, pair := range strings.Split(raw, "&") {
		b.WriteByte("?&"[min(i, 1)])
		if name, _, ok := strings.Cut(pair, "="); ok {
			b.WriteString(name + "=")
		}
		b.WriteString(Mask)
	}
	return b.String()
}

// rough redacts what url.Parse does not see through.
func rough(address string) string {
	address, _, _ = strings.Cut(address, "#")
	head, raw, _ := strings.Cut(address, "?")
	scheme, rest, ok := strings.Cut(head, "://")
	if !ok {
		scheme, rest = "", head
	} else {
		scheme += "://"
	}
	if i := strings.LastIndexByte(rest, '@'); i >= 0 && (scheme != "" || strings.ContainsRune(rest[:i], ':')) {
		rest = Mask + "@" + rest[i+1:]
	}
	return scheme + rest + query(raw)
}
