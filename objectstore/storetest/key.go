package storetest

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/lakectl/lakectl/objectstore"
)

// oddKeys are valid: each byte stands for itself.
func oddKeys() map[string]string {
	return map[string]string{
		"space":          "a b/c d",
		"two spaces":     "a  b",
		"percent":        "100%",
		"percent escape": "a%20b%2Fc",
		"double escape":  "a%2520b",
		"plus":           "a+b",
		"question mark":  "a?b=c",
		"hash":           "a#b",
		"ampersand":      "a&b;c",
		"equals":         "year=2001/month=02/part-0.parquet",
		"star":           "a*b",
		"brackets":       "a[b]{c}(d)",
		"quotes":         `a'b"c`,
		"backtick":       "a`b$c",
		"angle":          "a<b>c|d",
		"at colon comma": "a@b:c,d",
		"tilde caret":    "a~b^c!",
		"umlaut":         "größe/straße",
		"combining":      "e\u0301",
		"precomposed":    "\u00e9",
		"chinese":        "数据/湖",
		"emoji":          "🦆/🌊",
		"dots":           "..a/b../...c/.d",
		"hidden":         ".hidden/_delta_log/.crc",
		"dash":           "-rf/--",
		"upper":          "ABC/aBc",
		"long":           strings.Repeat("d/", 100) + strings.Repeat("n", 200),
	}
}

// badKeys are refused by every call.
func badKeys() map[string]string {
	return map[string]string{
		"empty":              "",
		"leading slash":      "/a",
		"trailing slash":     "a/",
		"only slash":         "/",
		"empty segment":      "a//b",
		"dot":                ".",
		"dot segment":        "a/./b",
		"trailing dot":       "a/.",
		"dot dot":            "..",
		"leading dot dot":    "../a",
		"inner dot dot":      "a/../b",
		"trailing dot dot":   "a/..",
		"climbing":           "a/../../../../etc/passwd",
		"nul":                "a\x00b",
		"newline":            "a\nb",
		"escape":             "a\x1b[31mb",
		"delete":             "a\x7fb",
		"c1 control":         "a\u0085b",
		"backslash":          `a\b`,
		"backslash dot dot":  `..\a`,
		"not utf-8":          "a\xffb",
		"overlong slash":     "a\xc0\xafb",
		"longer than limits": strings.Repeat("n", objectstore.KeyBytesMax+1),
		"a megabyte":         strings.Repeat("n/", 1<<19) + "n",
	}
}

func keyCases() []testCase {
	return []testCase{
		{"odd keys are literal", oddKeysAreLiteral},
		{"odd keys side by side", oddKeysSideBySide},
		{"invalid keys are refused", invalidKeys},
		{"invalid prefixes are refused", invalidPrefixes},
		{"keys differ by case", func(f fixture) {
			f.put("Key", "upper")
			f.put("key", "lower")
			f.holds("Key", "upper")
			f.holds("key", "lower")
		}},
		{"an escaped key and its plain form are two", func(f fixture) {
			f.put("a%20b", "escaped")
			f.put("a b", "plain")
			f.put("a+b", "plus")
			f.holds("a%20b", "escaped")
			f.holds("a b", "plain")
			f.holds("a+b", "plus")
		}},
	}
}

func oddKeysAreLiteral(f fixture) {
	for name, key := range oddKeys() {
		f.Run(name, func(t *testing.T) {
			g := f
			g.T = t
			key := name + " of its own/" + key
			info := g.putIf(key, "one", objectstore.CreateOnly)
			g.putFails(key, objectstore.CreateOnly, objectstore.ErrExists)
			g.holds(key, "one")
			g.putIf(key, "two", ifMatch(info.ETag))
			g.reads(key, objectstore.Range{Offset: 1, Length: 1}, "w", 3)
			g.lists(key, "", key)
			_, last := utf8.DecodeLastRuneInString(key)
			g.lists(key[:len(key)-last], "", key)
			g.delete(key)
			g.absent(key)
		})
	}
}

func oddKeysSideBySide(f fixture) {
	for name, key := range oddKeys() {
		f.put(key, name)
	}
	for name, key := range oddKeys() {
		f.holds(key, name)
	}
	n := 0
	last := ""
	for info, err := range f.List(f.Context(), "", "") {
		if err != nil {
			f.Fatal(err)
		}
		if info.Key <= last {
			f.Errorf("%q listed after %q", info.Key, last)
		}
		last = info.Key
		n++
	}
	if n != len(oddKeys()) {
		f.Errorf("listed %d keys, want %d", n, len(oddKeys()))
	}
}

func invalidKeys(f fixture) {
	for name, key := range badKeys() {
		f.Run(name, func(t *testing.T) {
			_, perr := f.Put(t.Context(), key, objectstore.Bytes([]byte("x")), objectstore.Condition{})
			_, cerr := f.Put(t.Context(), key, objectstore.Bytes([]byte("x")), objectstore.CreateOnly)
			_, _, gerr := read(t.Context(), f, key, objectstore.Range{})
			_, herr := f.Head(t.Context(), key)
			derr := f.Delete(t.Context(), key)
			for verb, err := range map[string]error{"put": perr, "create": cerr, "get": gerr, "head": herr, "delete": derr} {
				if !errors.Is(err, objectstore.ErrInvalidKey) {
					t.Errorf("%s: %v, want ErrInvalidKey", verb, err)
				}
				if err != nil && len(err.Error()) > 1000 {
					t.Errorf("%s: error of %d bytes", verb, len(err.Error()))
				}
			}
			if !objectstore.Refused(perr) {
				t.Error("an invalid key leaves no doubt")
			}
		})
	}
	f.lists("", "")
}

func invalidPrefixes(f fixture) {
	f.put("a/b", "x")
	for _, prefix := range []string{"/", "/a", "a//", "../", "a/../b", "./", "a/./", "a\x00", `a\`, "a\xff"} {
		n := 0
		for info, err := range f.List(f.Context(), prefix, "") {
			if n++; !errors.Is(err, objectstore.ErrInvalidKey) {
				f.Errorf("prefix %q: %+v, %v; want ErrInvalidKey", prefix, info, err)
			}
		}
		if n != 1 {
			f.Errorf("prefix %q yielded %d times, want one error", prefix, n)
		}
	}
	f.lists("..", "")
	f.lists("a/.", "")
}
