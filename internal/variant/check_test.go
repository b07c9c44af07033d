package variant_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/lakectl/lakectl/internal/variant"
)

// nested is an array in an array, so many times, around null.
func nested(depth int) string {
	value := "\x00"
	for range depth {
		if n := len(value); n < 256 {
			value = "\x03\x01\x00" + string([]byte{byte(n)}) + value
		} else {
			value = "\x0f\x01" + "\x00\x00\x00\x00" + string([]byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)}) + value
		}
	}
	return value
}

func TestCheck(t *testing.T) {
	const none, ab = "\x01\x00\x00", "\x01\x02\x00\x01\x02ab"
	for name, tc := range map[string]struct {
		metadata, value string
		sound           bool
	}{
		"null":                     {none, "\x00", true},
		"true":                     {none, "\x04", true},
		"byte":                     {none, "\x0c\x05", true},
		"short string":             {none, "\x0dabc", true},
		"long string":              {none, "\x40\x03\x00\x00\x00abc", true},
		"binary":                   {none, "\x3c\x02\x00\x00\x00\x00\xff", true},
		"decimal":                  {none, "\x20\x02\x7d\x00\x00\x00", true},
		"UUID":                     {none, "\x50" + strings.Repeat("x", 16), true},
		"empty object":             {none, "\x02\x00\x00", true},
		"object":                   {ab, "\x02\x02\x00\x01\x00\x02\x05\x0c\x01\x09xy", true},
		"fields in another order":  {ab, "\x02\x02\x00\x01\x03\x00\x05\x09xy\x0c\x01", true},
		"array":                    {none, "\x03\x02\x00\x01\x02\x00\x04", true},
		"large array":              {none, "\x13\x01\x00\x00\x00\x00\x01\x00", true},
		"as deep as may be":        {none, nested(variant.DepthMax), true},
		"deeper":                   {none, nested(variant.DepthMax + 1), false},
		"no metadata":              {"", "\x00", false},
		"version 2":                {"\x02\x00\x00", "\x00", false},
		"names without end":        {"\xc1\xff\xff\xff\xff", "\x00", false},
		"a name outside":           {"\x01\x01\x00\x09a", "\x00", false},
		"names that go back":       {"\x01\x02\x00\x02\x01ab", "\x00", false},
		"bytes after the names":    {"\x01\x00\x00x", "\x00", false},
		"a name that is not UTF-8": {"\x01\x01\x00\x01\xff", "\x00", false},
		"no value":                 {none, "", false},
		"unknown type":             {none, "\x54", false},
		"cut number":               {none, "\x18\x01", false},
		"cut string":               {none, "\x0dab", false},
		"string that is not UTF-8": {none, "\x05\xff", false},
		"endless string":           {none, "\x40\xff\xff\xff\xffabc", false},
		"scale of 39":              {none, "\x20\x27\x7d\x00\x00\x00", false},
		"field without a name":     {none, "\x02\x01\x00\x00\x01\x00", false},
		"value outside":            {none, "\x03\x01\x05\x01\x00", false},
		"values past the end":      {none, "\x03\x01\x00\x05\x00", false},
		"two values of one byte":   {none, "\x03\x02\x00\x00\x01\x00", false},
		"values without end":       {none, "\x1f\xff\xff\xff\xff", false},
	} {
		err := variant.Check(tc.metadata, tc.value)
		if tc.sound != (err == nil) || err != nil && !errors.Is(err, variant.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := variant.CheckShredded("\x02\x01\x07\x00\x01\x00"); err != nil {
		t.Errorf("a field whose name stands elsewhere: %v", err)
	}
}

func FuzzCheck(f *testing.F) {
	f.Add("\x01\x02\x00\x01\x02ab", "\x02\x02\x00\x01\x00\x02\x05\x0c\x01\x09xy")
	f.Add("\x01\x00\x00", nested(10))
	f.Fuzz(func(t *testing.T, metadata, value string) {
		if err := variant.Check(metadata, value); err != nil {
			if !errors.Is(err, variant.ErrMalformed) {
				t.Fatal(err)
			}
			return
		}
		if err := variant.CheckShredded(value); err != nil {
			t.Fatalf("sound with its names, not without: %v", err)
		}
	})
}
