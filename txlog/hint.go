package txlog

import (
	"context"
	"crypto/md5" //nolint:gosec // the protocol's checksum, not a defence
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lakectl/lakectl/internal/limits"
	"github.com/lakectl/lakectl/objectstore"
)

// hint is `_last_checkpoint`: where the newest checkpoint was when somebody last wrote one. It may be missing, old,
// empty or broken; nothing but speed depends on it.
//
// Protocol: "Last Checkpoint File".
type hint struct {
	version Version
	size    int64     // action rows
	date    time.Time // the store's clock when it was read
}

// readHint returns nil for a hint that is missing or cannot be believed.
func (l *Log) readHint(ctx context.Context) (*hint, error) {
	b, info, err := l.readObject(ctx, l.hintKey(), "hint_bytes")
	if errors.Is(err, objectstore.ErrNotFound) {
		return nil, nil
	}
	var over *limits.Error
	if err != nil && !errors.As(err, &over) {
		return nil, fmt.Errorf("read _last_checkpoint: %w", err)
	}
	h := (*hint)(nil)
	if err == nil {
		h, err = decodeHint(b)
	}
	if err != nil {
		l.options.Logger.WarnContext(ctx, "ignoring _last_checkpoint", "table", l.root, "error", err)
		return nil, nil
	}
	h.date = info.Date
	return h, nil
}

// decodeHint reads the hint and checks its checksum, if it has one.
func decodeHint(b []byte) (*hint, error) {
	h := &hint{version: -1}
	checksum := ""
	r := newJSONReader(b)
	r.object(func(key string) {
		switch key {
		case "version":
			h.version = Version(r.int64())
		case "size":
			h.size = r.int64()
		case "checksum":
			checksum = r.text()
		default:
			r.skip()
		}
	})
	if err := r.end(); err != nil {
		return nil, err
	}
	if h.version < 0 {
		return nil, errors.New("no version")
	}
	if checksum != "" {
		want, err := hintChecksum(b)
		if err != nil {
			return nil, err
		}
		if want != checksum {
			return nil, errors.New("checksum differs")
		}
	}
	return h, nil
}

// hintChecksum is the MD5 over the canonical form of the whole object, its own field left out: `path=value` pairs,
// sorted and joined by commas, paths joined by plus signs, texts quoted and percent-encoded, numbers as written.
func hintChecksum(b []byte) (string, error) {
	var pairs []string
	var failed error
	var walk func(r *jsonReader, path string)
	walk = func(r *jsonReader, path string) {
		join := func(part string) string {
			if path == "" {
				return part
			}
			return path + "+" + part
		}
		switch r.peek() {
		case '{':
			seen := map[string]bool{}
			r.object(func(key string) {
				if seen[key] {
					failed = errors.New("duplicate key")
				}
				seen[key] = true
				if path == "" && key == "checksum" {
					r.skip()
					return
				}
				walk(r, join(quoteChecksum(key)))
			})
		case '[':
			i := 0
			r.array(func() {
				walk(r, join(strconv.Itoa(i)))
				i++
			})
		case '"':
			pairs = append(pairs, path+"="+quoteChecksum(r.text()))
		default:
			pairs = append(pairs, path+"="+string(r.raw()))
		}
	}
	r := newJSONReader(b)
	walk(r, "")
	if err := firstError(r.end(), failed); err != nil {
		return "", err
	}
	slices.Sort(pairs)
	sum := md5.Sum([]byte(strings.Join(pairs, ","))) //nolint:gosec // the protocol's checksum
	return hex.EncodeToString(sum[:]), nil
}

// quoteChecksum quotes a text and percent-encodes every octet outside A-Za-z0-9-._~.
func quoteChecksum(s string) string {
	const digits = "0123456789ABCDEF"
	out := []byte{'"'}
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0 {
			out = append(out, c)
		} else {
			out = append(out, '%', digits[c>>4], digits[c&15])
		}
	}
	return string(append(out, '"'))
}

// hintOf is what a hint says of a new checkpoint.
type hintOf struct {
	version            Version
	rows, bytes, files int64 // actions, bytes of all its objects, adds
	v2                 *v2Hint
}

// v2Hint says which object a V2 checkpoint is. Sidecars are named where they are few.
type v2Hint struct {
	name                 string // of the object in the log's folder
	bytes, modifiedMilli int64
	sidecars             []*Sidecar
}

// hintSidecarsMax is how many sidecars a hint names, as with Spark.
const hintSidecarsMax = 30

func (w *jsonWriter) v2Hint(h *v2Hint) {
	w.text("path", h.name)
	w.int("sizeInBytes", h.bytes)
	w.int("modificationTime", h.modifiedMilli)
	if n := len(h.sidecars); n > 0 && n <= hintSidecarsMax {
		w.list("sidecarFiles", len(h.sidecars), func(i int) {
			w.text("path", h.sidecars[i].Path)
			w.int("sizeInBytes", h.sidecars[i].SizeInBytes)
			w.int("modificationTime", h.sidecars[i].ModificationTime)
		})
	}
}

// writeHint points to a new checkpoint. It only moves forwards, by swapping the object that it read.
func (l *Log) writeHint(ctx context.Context, h hintOf) error {
	w := &jsonWriter{}
	v := h.version
	w.int("version", int64(v))
	w.int("size", h.rows)
	w.int("sizeInBytes", h.bytes)
	w.int("numOfAddFiles", h.files)
	if h.v2 != nil {
		w.member("v2Checkpoint", func() { w.v2Hint(h.v2) })
	}
	sum, err := hintChecksum([]byte("{" + w.buf.String() + "}"))
	if err != nil {
		return fmt.Errorf("write _last_checkpoint: %w", err)
	}
	w.text("checksum", sum)
	body := json.RawMessage("{" + w.buf.String() + "}")

	for range hintAttempts {
		var final bool
		if final, err = l.swapHint(ctx, v, body); final {
			return err
		}
	}
	return fmt.Errorf("write _last_checkpoint: %w", err)
}

// hintAttempts bounds the races for the hint: each lost one means that somebody else moved it.
const hintAttempts = 4

// swapHint replaces the hint by one for version v unless it points there or further already. An error with final
// false is a lost race, which is worth another look.
func (l *Log) swapHint(ctx context.Context, v Version, body []byte) (final bool, err error) {
	condition := objectstore.CreateOnly
	var over *limits.Error
	b, info, err := l.readObject(ctx, l.hintKey(), "hint_bytes")
	switch {
	case errors.Is(err, objectstore.ErrNotFound):
	case errors.As(err, &over): // no hint of ours: replace it
		condition = objectstore.Condition{IfMatch: info.ETag}
	case err != nil:
		return true, fmt.Errorf("read _last_checkpoint: %w", err)
	default:
		if old, err := decodeHint(b); err == nil && old.version >= v {
			return true, nil
		}
		condition = objectstore.Condition{IfMatch: info.ETag}
	}
	_, err = l.store.Put(ctx, l.hintKey(), objectstore.Bytes(body), condition)
	if err == nil {
		return true, nil
	}
	for _, lost := range []error{objectstore.ErrExists, objectstore.ErrPrecondition, objectstore.ErrNotFound} {
		if errors.Is(err, lost) {
			return false, err
		}
	}
	return true, fmt.Errorf("write _last_checkpoint: %w", err)
}
