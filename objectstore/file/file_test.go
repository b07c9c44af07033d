package file_test

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/objectstore/file"
	"github.com/lakectl/lakectl/objectstore/mem"
	"github.com/lakectl/lakectl/objectstore/storetest"
)

// open returns a store in dir, closed with the test.
func open(t *testing.T, dir string, opts ...file.Option) *file.Store {
	t.Helper()
	s, err := file.Open(dir, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func put(t *testing.T, s objectstore.Store, key, text string) objectstore.Info {
	t.Helper()
	info, err := s.Put(t.Context(), key, objectstore.Bytes([]byte(text)), objectstore.Condition{})
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func keys(t *testing.T, s objectstore.Store, prefix, after string) []string {
	t.Helper()
	var out []string
	for info, err := range s.List(t.Context(), prefix, after) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, info.Key)
	}
	return out
}

func TestContract(t *testing.T) {
	storetest.RunClients(t, func(t *testing.T) (a, b objectstore.Store) {
		t.Helper()
		dir := t.TempDir()
		return open(t, dir), open(t, dir)
	})
}

// A lock, a link and a listing must mean the same to stores whose roots lie inside each other.
func TestContractWithinAnotherRoot(t *testing.T) {
	dir := t.TempDir()
	outer := open(t, dir)
	inner := open(t, filepath.Join(dir, "silver", "orders"), file.Create)
	info := put(t, inner, "a", "one")
	put(t, inner, "sub/b", "two")
	if got := keys(t, outer, "", ""); !slices.Equal(got, []string{"silver/orders/a", "silver/orders/sub/b"}) {
		t.Errorf("outer lists %q", got)
	}
	seen, err := outer.Head(t.Context(), "silver/orders/a")
	if err != nil || seen.ETag != info.ETag {
		t.Errorf("outer sees %+v, %v; inner wrote %+v", seen, err, info)
	}
}

func TestOpenMissingRoot(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	if _, err := file.Open(dir); !errors.Is(err, objectstore.ErrNoBucket) {
		t.Errorf("missing folder: %v, want ErrNoBucket", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Error("a folder was made without being asked for")
	}
	put(t, open(t, dir, file.Create), "x/y", "text")
	name := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{name, filepath.Join(name, "below")} {
		if _, err := file.Open(d); err == nil {
			t.Errorf("opened %s, which is a file", d)
		}
	}
}

func TestRootGoneWhileOpen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "lake")
	s := open(t, dir, file.Create)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	_, err := s.Put(t.Context(), "a", objectstore.Bytes(nil), objectstore.CreateOnly)
	if !errors.Is(err, objectstore.ErrNoBucket) {
		t.Errorf("put: %v, want ErrNoBucket", err)
	}
	if _, err := s.Head(t.Context(), "a"); !errors.Is(err, objectstore.ErrNotFound) {
		t.Errorf("head: %v", err)
	}
}

func TestURLAndBack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a b%20c?#é")
	s := open(t, dir, file.Create)
	u, err := url.Parse(s.URL())
	if err != nil || u.Scheme != "file" || u.Path != resolved(t, dir) {
		t.Fatalf("URL %s, %v", s.URL(), err)
	}
	put(t, s, "k", "text")
	again := open(t, s.URL())
	if again.URL() != s.URL() || len(keys(t, again, "", "")) != 1 {
		t.Errorf("%s opens %s", s.URL(), again.URL())
	}
	for _, bad := range []string{"file://host/p", "file:", "file:relative", "file:///p?q", "file:///%zz"} {
		if _, err := file.Open(bad); !errors.Is(err, objectstore.ErrBadRequest) {
			t.Errorf("%s: %v, want ErrBadRequest", bad, err)
		}
	}
}

func resolved(t *testing.T, dir string) string {
	t.Helper()
	out, err := filepath.EvalSymlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func symlink(t *testing.T, target, name string) {
	t.Helper()
	if err := os.Symlink(target, name); err != nil {
		t.Fatal(err)
	}
}

func TestSymlinksOutOfTheRootLeadNowhere(t *testing.T) {
	outside := t.TempDir()
	secret := filepath.Join(outside, "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	s := open(t, dir)
	put(t, s, "in/a", "inside")
	symlink(t, outside, filepath.Join(dir, "abs"))
	symlink(t, "../"+filepath.Base(outside), filepath.Join(dir, "rel"))
	symlink(t, secret, filepath.Join(dir, "file"))
	symlink(t, "file", filepath.Join(dir, "chain"))
	symlink(t, "nowhere", filepath.Join(dir, "dangling"))
	symlink(t, "loop", filepath.Join(dir, "loop"))

	for _, key := range []string{"abs/secret", "rel/secret", "file", "chain", "dangling", "loop", "abs/new", "loop/x"} {
		if body, _, err := s.Get(t.Context(), key, objectstore.Range{}); err == nil {
			text, _ := io.ReadAll(body)
			_ = body.Close()
			t.Errorf("get %s: %q", key, text)
		}
		if info, err := s.Head(t.Context(), key); err == nil {
			t.Errorf("head %s: %+v", key, info)
		}
		if p, err := s.LocalPath(key); !errors.Is(err, objectstore.ErrInvalidKey) {
			t.Errorf("local path of %s: %q, %v; want ErrInvalidKey", key, p, err)
		}
	}
	for _, key := range []string{"abs/new", "rel/new", "abs/secret", "loop/x"} {
		for _, cond := range []objectstore.Condition{{}, objectstore.CreateOnly} {
			if _, err := s.Put(t.Context(), key, objectstore.Bytes([]byte("x")), cond); err == nil {
				t.Errorf("put %s went through", key)
			}
		}
		_ = s.Delete(t.Context(), key)
	}
	if got := keys(t, s, "", ""); !slices.Equal(got, []string{"in/a"}) {
		t.Errorf("listed %q", got)
	}
	entries, err := os.ReadDir(outside)
	if err != nil || len(entries) != 1 {
		t.Errorf("outside holds %v, %v", entries, err)
	}
	if text, err := os.ReadFile(secret); err != nil || string(text) != "secret" {
		t.Errorf("outside: %q, %v", text, err)
	}
}

func TestPutReplacesALinkAndNotItsTarget(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "target")
	if err := os.WriteFile(outside, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	symlink(t, outside, filepath.Join(dir, "a"))
	s := open(t, dir)
	if _, err := s.Put(t.Context(), "a", objectstore.Bytes([]byte("new")), objectstore.CreateOnly); !errors.Is(err, objectstore.ErrExists) {
		t.Errorf("create over a link: %v, want ErrExists", err)
	}
	put(t, s, "a", "new")
	if text, err := os.ReadFile(outside); err != nil || string(text) != "old" {
		t.Errorf("the target holds %q, %v", text, err)
	}
	if err := s.Delete(t.Context(), "a"); err != nil || len(keys(t, s, "", "")) != 0 {
		t.Error("the object is still there", err)
	}
}

func TestSymlinksInsideTheRootAreFollowed(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	put(t, s, "real/a", "text")
	symlink(t, "real", filepath.Join(dir, "link"))
	symlink(t, "real/a", filepath.Join(dir, "file"))
	if info, err := s.Head(t.Context(), "link/a"); err != nil || info.Size != 4 {
		t.Errorf("%+v, %v", info, err)
	}
	want := filepath.Join(resolved(t, dir), "real", "a")
	for _, key := range []string{"link/a", "file", "real/a"} {
		if got, err := s.LocalPath(key); got != want || err != nil {
			t.Errorf("local path of %s: %q, %v; want %q", key, got, err, want)
		}
	}
	if got, err := s.LocalPath("link/new/er"); got != filepath.Join(filepath.Dir(want), "new", "er") || err != nil {
		t.Errorf("local path of what is not there: %q, %v", got, err)
	}
	if got := keys(t, s, "", ""); !slices.Equal(got, []string{"file", "real/a"}) {
		t.Errorf("listed %q", got)
	}
}

func TestLocalPathIsTheFile(t *testing.T) {
	s := open(t, t.TempDir())
	for _, key := range []string{"a", "x=1/a b*[c].parquet", "100%/é"} {
		put(t, s, key, key)
		name, err := s.LocalPath(key)
		if err != nil {
			t.Fatal(err)
		}
		if text, err := os.ReadFile(name); err != nil || string(text) != key {
			t.Errorf("%s holds %q, %v", name, text, err)
		}
	}
	for _, key := range []string{"", "/a", "../a", "a/../../b", "a//b", file.TempFolder + "/x", "a/" + file.TempFolder} {
		if p, err := s.LocalPath(key); !errors.Is(err, objectstore.ErrInvalidKey) {
			t.Errorf("local path of %q: %q, %v; want ErrInvalidKey", key, p, err)
		}
	}
}

func TestTemporaryFilesAreHiddenAndSwept(t *testing.T) {
	dir := t.TempDir()
	now := time.Date(2001, 2, 15, 12, 0, 0, 0, time.UTC)
	s := open(t, dir, file.WithClock(clock.NewManual(now)))
	put(t, s, "table/a", "text")
	inner := open(t, filepath.Join(dir, "table"))
	put(t, inner, "b", "text")
	for _, d := range []string{dir, filepath.Join(dir, "table")} {
		entries, err := os.ReadDir(filepath.Join(d, file.TempFolder))
		if err != nil || len(entries) != 0 {
			t.Errorf("%s: %v, %v; want an empty folder after each put", d, entries, err)
		}
	}
	left := filepath.Join(dir, file.TempFolder, "left")
	for name, age := range map[string]time.Duration{left + "-old": 25 * time.Hour, left + "-young": 23 * time.Hour} {
		if err := os.WriteFile(name, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, now.Add(-age), now.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	if got := keys(t, s, "", ""); !slices.Equal(got, []string{"table/a", "table/b"}) {
		t.Errorf("listed %q", got)
	}
	for _, key := range []string{file.TempFolder + "/left-old", "table/" + file.TempFolder + "/x", file.TempFolder} {
		if _, err := s.Head(t.Context(), key); !errors.Is(err, objectstore.ErrInvalidKey) {
			t.Errorf("head %s: %v, want ErrInvalidKey", key, err)
		}
		if err := s.Delete(t.Context(), key); !errors.Is(err, objectstore.ErrInvalidKey) {
			t.Errorf("delete %s: %v, want ErrInvalidKey", key, err)
		}
	}
	open(t, dir, file.WithClock(clock.NewManual(now)))
	if _, err := os.Stat(left + "-old"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what a killed process left a day ago is still there: %v", err)
	}
	if _, err := os.Stat(left + "-young"); err != nil {
		t.Errorf("what another process may be writing is gone: %v", err)
	}
}

func TestFileBodyIsLinked(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	staged := filepath.Join(dir, ".staged")
	if err := os.WriteFile(staged, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	before := inode(t, staged)
	for i, cond := range []objectstore.Condition{{}, objectstore.CreateOnly} {
		body, err := objectstore.OpenFile(staged)
		if err != nil {
			t.Fatal(err)
		}
		key := fmt.Sprintf("part-%d", i)
		info, err := s.Put(t.Context(), key, body, cond)
		if cerr := body.Close(); err != nil || cerr != nil {
			t.Fatal(err, cerr)
		}
		name := filepath.Join(dir, key)
		if inode(t, name) != before {
			t.Errorf("%s was copied, want a link", key)
		}
		head, err := s.Head(t.Context(), key)
		if err != nil || head.ETag != info.ETag || clock.Since(clock.System(), head.Modified) > time.Minute {
			t.Errorf("head %+v, %v; put returned %+v", head, err, info)
		}
	}
}

func inode(t *testing.T, name string) uint64 {
	t.Helper()
	st, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	return st.Sys().(*syscall.Stat_t).Ino
}

func TestFileBodyThatChangedIsRefused(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	staged := filepath.Join(t.TempDir(), "staged")
	if err := os.WriteFile(staged, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	body, err := objectstore.OpenFile(staged)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = body.Close() }()
	if err := os.Truncate(staged, 2); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), "a", body, objectstore.Condition{}); err == nil {
		t.Error("half a file was stored")
	}
	if got := keys(t, s, "", ""); len(got) != 0 {
		t.Errorf("listed %q", got)
	}
}

// The kernel's clock moves in milliseconds and inodes are used again: an ETag must still never return.
func TestETagsDoNotReturn(t *testing.T) {
	s := open(t, t.TempDir(), file.WithClock(clock.NewManual(time.Unix(1e9, 0))))
	seen := map[string]int{}
	for i := range 500 {
		info := put(t, s, "a", fmt.Sprintf("%03d", i))
		if j, ok := seen[info.ETag]; ok {
			t.Fatalf("object %d has the etag of object %d: %s", i, j, info.ETag)
		}
		seen[info.ETag] = i
	}
}

func TestFolderAndObjectCannotShareAName(t *testing.T) {
	s := open(t, t.TempDir())
	put(t, s, "a/b", "text")
	put(t, s, "c", "text")
	for _, key := range []string{"a", "c/d", "c/d/e"} {
		for _, cond := range []objectstore.Condition{{}, objectstore.CreateOnly} {
			_, err := s.Put(t.Context(), key, objectstore.Bytes(nil), cond)
			if !objectstore.Refused(err) {
				t.Errorf("put %s %+v: %v, want a refusal", key, cond, err)
			}
		}
	}
	long := strings.Repeat("n", 256)
	if _, err := s.Put(t.Context(), long, objectstore.Bytes(nil), objectstore.CreateOnly); !errors.Is(err, objectstore.ErrInvalidKey) {
		t.Errorf("segment of 256 bytes: %v, want ErrInvalidKey", err)
	}
}

func TestThingsThatAreNoObjects(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if err := syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"fifo", "folder"} {
		if _, _, err := s.Get(t.Context(), key, objectstore.Range{}); !errors.Is(err, objectstore.ErrNotFound) {
			t.Errorf("get %s: %v, want ErrNotFound", key, err)
		}
	}
	if got := keys(t, s, "", ""); len(got) != 0 {
		t.Errorf("listed %q", got)
	}
}

func TestForeignNamesAreListedAndRefused(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{`a\b`, "new\nline", "bad\xff"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, dir)
	got := keys(t, s, "", "")
	if !slices.Equal(got, []string{`a\b`, "bad\xff", "new\nline"}) {
		t.Errorf("listed %q: what others wrote must not vanish", got)
	}
	for _, key := range got {
		if _, err := s.Head(t.Context(), key); !errors.Is(err, objectstore.ErrInvalidKey) {
			t.Errorf("head %q: %v, want ErrInvalidKey", key, err)
		}
	}
}

// The walk and the sorted map of mem must agree on any keys, prefix and start.
func TestListAgreesWithMem(t *testing.T) {
	const seed = 42
	r := clock.SeededRand(seed)
	s, m := open(t, t.TempDir()), mem.New(t.Name())
	letters := []string{"a", "b", "-", ".x", "0", "a-", "_"}
	word := func() string {
		out := ""
		for range 1 + clock.Int64N(r, 2) {
			out += letters[clock.Int64N(r, int64(len(letters)))]
		}
		return out
	}
	key := func() string {
		out := word()
		for range clock.Int64N(r, 3) {
			out += "/" + word()
		}
		return out
	}
	var all []string
	for range 400 {
		k := key()
		_, err := s.Put(t.Context(), k, objectstore.Bytes([]byte(k)), objectstore.Condition{})
		if objectstore.Refused(err) {
			continue // a folder or a file has this name
		}
		if err != nil {
			t.Fatal(err)
		}
		put(t, m, k, k)
		all = append(all, k)
	}
	for i := range 500 {
		pick := all[clock.Int64N(r, int64(len(all)))]
		prefix := pick[:clock.Int64N(r, int64(len(pick))+1)]
		after := ""
		switch i % 4 {
		case 1:
			after = all[clock.Int64N(r, int64(len(all)))]
		case 2:
			after = key()
		case 3:
			after = prefix + word()
		}
		if got, want := keys(t, s, prefix, after), keys(t, m, prefix, after); !slices.Equal(got, want) {
			t.Fatalf("seed %d: prefix %q after %q\n got %q\nwant %q", seed, prefix, after, got, want)
		}
	}
	if len(all) < 150 {
		t.Errorf("%d keys only", len(all))
	}
}

func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("a small disk needs the right to mount one: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	s, err := file.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	put(t, s, "a", "small")
	_, err = s.Put(t.Context(), "b", objectstore.Bytes(make([]byte, 1<<20)), objectstore.CreateOnly)
	if !errors.Is(err, objectstore.ErrNoSpace) {
		t.Errorf("put on a full disk: %v, want ErrNoSpace", err)
	}
	if got := keys(t, s, "", ""); !slices.Equal(got, []string{"a"}) {
		t.Errorf("listed %q", got)
	}
	put(t, s, "c", strings.Repeat("x", 100<<10))
}

func TestDenied(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may do everything")
	}
	dir := t.TempDir()
	s := open(t, dir)
	put(t, s, "locked/a", "text")
	if err := os.Chmod(filepath.Join(dir, "locked"), 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(filepath.Join(dir, "locked"), 0o700) })
	if _, err := s.Head(t.Context(), "locked/a"); !errors.Is(err, objectstore.ErrDenied) {
		t.Errorf("head: %v, want ErrDenied", err)
	}
	if _, err := s.Put(t.Context(), "locked/b", objectstore.Bytes(nil), objectstore.CreateOnly); !errors.Is(err, objectstore.ErrDenied) {
		t.Errorf("put: %v, want ErrDenied", err)
	}
}

func BenchmarkStore(b *testing.B) {
	s, err := file.Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	storetest.Bench(b, s)
}
