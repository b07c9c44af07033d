package txlog

import (
	"errors"
	"testing"

	"github.com/lakectl/lakectl/objectstore/mem"
)

func TestDecodePath(t *testing.T) {
	for _, tc := range []struct {
		text string
		want Path
		err  error
	}{
		{"part-0.parquet", Path{Key: "part-0.parquet"}, nil},
		{"letter=%252F%252520%2525f/a.parquet", Path{Key: "letter=%2F%2520%25f/a.parquet"}, nil},
		{"a+b.parquet", Path{Key: "a+b.parquet"}, nil},
		{"a:b", Path{Key: "a:b"}, nil},
		{"special%20p@%23h", Path{Key: "special p@#h"}, nil},
		{"d=😈/x", Path{Key: "d=😈/x"}, nil},
		{"back\\slash", Path{Key: "back\\slash"}, nil},
		{"..a/b..", Path{Key: "..a/b.."}, nil},
		{"/x", Path{Absolute: "file:///x"}, nil},
		{"file:/x", Path{Absolute: "file:///x"}, nil},
		{"FILE:///x", Path{Absolute: "file:///x"}, nil},
		{"s3://bucket/a%20b", Path{Absolute: "s3://bucket/a b"}, nil},
		{"http://host/x", Path{Absolute: "http://host/x"}, nil},
		{"../x", Path{}, ErrPathEscape},
		{"a/../../x", Path{}, ErrPathEscape},
		{"%2e%2e/x", Path{}, ErrPathEscape},
		{"a%2F..%2Fx", Path{}, ErrPathEscape},
		{"%252e%252e/x", Path{Key: "%2e%2e/x"}, nil},
		{"", Path{}, ErrCorruptLog},
		{"a//b", Path{}, ErrCorruptLog},
		{"./a", Path{}, ErrCorruptLog},
		{"a/", Path{}, ErrCorruptLog},
		{"a%zz", Path{}, ErrCorruptLog},
		{"a%", Path{}, ErrCorruptLog},
		{"a\x00b", Path{}, ErrCorruptLog},
		{"a%00b", Path{}, ErrCorruptLog},
		{"file:///a%00b", Path{}, ErrCorruptLog},
	} {
		got, err := DecodePath(tc.text)
		if got != tc.want || !errors.Is(err, tc.err) {
			t.Errorf("%q gives %+v, %v; want %+v, %v", tc.text, got, err, tc.want, tc.err)
		}
		if err == nil && got.Key != "" {
			if again, err := DecodePath(EncodePath(got.Key)); again != got || err != nil {
				t.Errorf("%q encodes as %q: %+v, %v", got.Key, EncodePath(got.Key), again, err)
			}
		}
	}
	if got := EncodePath("a:b/c d%"); got != "a%3Ab/c%20d%25" {
		t.Errorf("encoded as %s", got)
	}
}

// TestAbsolutePathsStayInTheStore: what lies below the store's address is reachable, nothing else.
func TestAbsolutePathsStayInTheStore(t *testing.T) {
	l := New(mem.New("lake"), "silver/orders", Options{})
	base := l.Store().URL()
	for text, want := range map[string]string{
		base + "/other/x.parquet": "other/x.parquet", "a/b": "silver/orders/a/b", base + "x/y": "", base + "/../x": "", base: "",
		"/etc/passwd": "", "http://host/x": "", base + "/a/%2e%2e/b": "",
	} {
		p, err := DecodePath(text)
		if err != nil {
			t.Fatal(err)
		}
		got, err := l.pathKey(p)
		if got != want || (want == "") != errors.Is(err, ErrPathEscape) {
			t.Errorf("%q gives %q, %v; want %q", text, got, err, want)
		}
	}
}

func FuzzDecodePath(f *testing.F) {
	for _, s := range []string{"a", "a%20b/c", "/x", "file:/x", "s3://b/k", "../x", "%2e%2e", "a:b", "x\x00", "%"} {
		f.Add(s)
	}
	l := New(mem.New("lake"), "t", Options{})
	f.Fuzz(func(t *testing.T, s string) {
		p, err := DecodePath(s)
		if err != nil {
			if !errors.Is(err, ErrCorruptLog) && !errors.Is(err, ErrPathEscape) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		if (p.Key == "") == (p.Absolute == "") {
			t.Fatalf("%q is neither or both: %+v", s, p)
		}
		key, err := l.pathKey(p)
		if err != nil {
			return
		}
		if err := checkKey(key); err != nil {
			t.Fatalf("%q gives key %q: %v", s, key, err)
		}
		if p.Key != "" {
			again, err := DecodePath(EncodePath(p.Key))
			if err != nil || again != p {
				t.Fatalf("%q does not come back: %+v, %v", p.Key, again, err)
			}
		}
	})
}
